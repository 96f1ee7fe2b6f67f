"""What pydantic found, as sentences with an address."""

from __future__ import annotations

import types
import typing
from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from rules.later import LATER_WORDS, not_yet
from rules.source import Loc, Mistake, Node, did_you_mean, nearest

SENTENCES = {
    "bool_parsing": "write true or false",
    "bool_type": "write true or false",
    "string_type": 'write a text here; a number or date needs quotes: "…"',
    "int_parsing": "write a whole number",
    "int_type": "write a whole number",
    "int_from_float": "write a whole number",
    "tuple_type": "write a list: [one, another]",
    "list_type": "write a list: [one, another]",
    "model_type": "write words with values here, like {word: value}",
    "model_attributes_type": "write words with values here, like {word: value}",
    "dict_type": "write words with values here, like {word: value}",
    "mapping_type": "write words with values here, like {word: value}",
    "too_short": "at least one is needed",
    "timezone_aware": "a time needs its offset from UTC, like 2026-05-04T10:00:00+02:00",
    "datetime_type": "write a time with its offset from UTC, like 2026-05-04T10:00:00+02:00",
    "datetime_parsing": "write a time with its offset from UTC, like 2026-05-04T10:00:00+02:00",
    "datetime_from_date_parsing": "write a time with its offset from UTC, like 2026-05-04T10:00:00+02:00",
}
ECHOES = ("missing", "too_short")
"""What pydantic says only because of another mistake: a word that is misspelt is missing, a list of bad items empty."""


def from_validation(error: ValidationError, root: Node, model: type[BaseModel]) -> list[Mistake]:
    """Each with the place where it stands in the file (or in the preset it came from)."""
    found = error.errors(include_url=False)
    known = {(*one["loc"][:-1], near) for one in found if (near := _near(one, model))}
    known |= {one["loc"][:end] for one in found for end in range(len(one["loc"]))}
    return [_mistake(one, root, model) for one in found if not (one["type"] in ECHOES and one["loc"] in known)]


def _near(details: ErrorDetails, model: type[BaseModel]) -> str:
    """The word that an unknown one was meant to be: it need not be called missing as well."""
    if details["type"] != "extra_forbidden":
        return ""
    return nearest(details["loc"][-1], words_at(model, details["loc"][:-1]))


def _mistake(details: ErrorDetails, root: Node, model: type[BaseModel]) -> Mistake:
    loc: Loc = details["loc"]
    place = root.find(loc, key=details["type"] == "extra_forbidden")
    return Mistake(place, _sentence(details, loc, model))


def _sentence(details: ErrorDetails, loc: Loc, model: type[BaseModel]) -> str:
    kind, context = details["type"], details.get("ctx", {})
    last = str(loc[-1]) if loc else ""
    if kind == "extra_forbidden":
        if last in LATER_WORDS:
            return f'"{last}" is for later: {not_yet(LATER_WORDS[last])}'
        return f'unknown word "{last}"{did_you_mean(last, words_at(model, loc[:-1]))}'
    if kind == "missing":
        return f'the word "{last}" is missing here'
    if kind == "value_error":
        return str(context["error"])
    if kind == "literal_error":
        known = [part.strip("'") for part in str(context["expected"]).replace(" or ", ", ").split(", ")]
        hint = did_you_mean(details["input"], known) or f"; it can be {', '.join(known)}"
        return f'"{details["input"]}" is not known here{hint}'
    return SENTENCES.get(kind, details["msg"][:1].lower() + details["msg"][1:])


def words_at(model: type[BaseModel], loc: Loc) -> list[str]:
    """The words that the part of the model at `loc` knows."""
    here: type[BaseModel] | None = model
    for part in loc:
        if here is not None and isinstance(part, str) and part in here.model_fields:
            here = _model_in(here.model_fields[part].annotation)
    return [field.alias or name for name, field in here.model_fields.items()] if here is not None else []


def _model_in(annotation: Any) -> type[BaseModel] | None:
    """The model that an annotation holds: itself, optional, in a list, or as values of a mapping."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return annotation
    if typing.get_origin(annotation) in (tuple, list, dict, Mapping, types.UnionType, typing.Union, typing.Annotated):
        found = (_model_in(inner) for inner in typing.get_args(annotation))
        return next((one for one in found if one is not None), None)
    return None
