"""The words of text messages: what may stand in them, and the sender of a shop's."""

from __future__ import annotations

import re
import string
from collections.abc import Mapping
from decimal import Decimal
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema, model_validator

from rules.values import Amount

PLACES = frozenset(("shop", "name", "count", "total", "first_line", "link", "stop"))
"""What may stand in braces: `link` is the way back to the cart, `stop` how to get no more of them."""
NEEDED = ("link", "stop")
SENDER = re.compile(r"(whatsapp:)?\+[1-9][0-9]{4,14}|[0-9]{3,8}|MG[0-9a-f]{32}|(?=.*[A-Za-z])[A-Za-z0-9 +_&-]{1,11}")


def read_text(value: object) -> dict[str, str]:
    """One text for all languages (kept under ""), or one for each language."""
    if isinstance(value, str) and value.strip():
        value = {"": value}
    if not (isinstance(value, dict) and value and all(isinstance(t, str) and t.strip() for t in value.values())):
        raise ValueError('write one text, or one for each language: {de: "…", en: "…"}')
    found = {str(language): " ".join(text.split()) for language, text in value.items()}
    for text in found.values():
        _check(text)
    return found


def _check(text: str) -> None:
    places = []
    for _, place, spec, conversion in string.Formatter().parse(text):
        if place is not None and (place not in PLACES or spec or conversion):
            raise ValueError(f"{{{place}}} means nothing here; there are {', '.join(sorted(PLACES))}")
        places.append(place)
    for needed in NEEDED:
        if needed not in places:
            raise ValueError(f"the text needs {{{needed}}}: {_WHY[needed]}")


_WHY = {
    "link": "it leads back to the cart, and finds a text again whose fate is unknown",
    "stop": "whoever gets a text must be told how to get no more of them",
}
Wording = Annotated[
    dict[str, str],
    PlainValidator(read_text),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "object", "additionalProperties": {"type": "string"}}]}),
]


def _sender(text: str) -> str:
    if not SENDER.fullmatch(text):
        raise ValueError(
            f'"{text}" is not a sender of texts: a number (+49…), a Messaging Service (MG…), a WhatsApp sender '
            "(whatsapp:+49…) or a name of at most eleven letters"
        )
    return text


def _number(text: str) -> str:
    if not re.fullmatch(r"\+[1-9][0-9]{6,14}", text):
        raise ValueError(f'"{text}" is not a phone number with its country code; write it like "+4915112345678"')
    return text


def _country(text: str) -> str:
    if not re.fullmatch(r"[A-Z]{2}", text):
        raise ValueError(f'"{text}" is not a country; write it like "DE"')
    return text


def _template(text: str) -> str:
    if not re.fullmatch(r"HX[0-9a-f]{32}", text):
        raise ValueError(f'"{text}" is not the number of an approved template; it begins with HX')
    return text


class _Words(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Budget(_Words):
    """What a shop's texts may cost."""

    day: Amount | None = Field(None, description="At most so much for one day, by the clock of the shop: `20 EUR`.")
    month: Amount | None = Field(None, description="At most so much for one month: `300 EUR`.")


class SmsWords(_Words):
    """How a shop writes texts."""

    model_config = ConfigDict(extra="forbid", frozen=True, populate_by_name=True, serialize_by_alias=True)

    sender: Annotated[str, AfterValidator(_sender)] | None = Field(
        None,
        alias="from",
        description="What its texts come from, if not the sender of the settings: a number, a Messaging Service "
        "(`MG…`), a WhatsApp sender (`whatsapp:+49…`) or a name of at most eleven letters. A name takes no answers: "
        "the way out is then a link.",
    )
    countries: tuple[Annotated[str, AfterValidator(_country)], ...] = Field(
        (), description="Countries whose numbers are written to, like `[DE, AT]`; the shop's own by default."
    )
    price: Amount | None = Field(
        None, description="What one part of a text costs, like `0.09 EUR`; needed for a budget."
    )
    budget: Budget = Field(
        default_factory=Budget, description="What its texts may cost: `{day: 20 EUR, month: 300 EUR}`."
    )
    rehearsal_to: Annotated[str, AfterValidator(_number)] | None = Field(
        None, description="Phone that the texts of a rehearsal go to; empty: nowhere."
    )
    templates: Mapping[str, Annotated[str, AfterValidator(_template)]] = Field(
        default_factory=dict,
        description="Approved WhatsApp templates (`HX…`) by the name of the step's template, `nudge`, or with a "
        "language, `nudge.de`. Their places: 1 the shop, 2 the person's first name or 🙂, 3 the first product, 4 the "
        "link.",
    )

    @model_validator(mode="after")
    def _can_be_counted(self) -> Self:
        limits = [limit for limit in (self.budget.day, self.budget.month) if limit is not None]
        if limits and self.price is None:
            raise ValueError("a budget needs the price of one part of a text: price: 0.09 EUR")
        if any(self.price is not None and limit.currency != self.price.currency for limit in limits):
            raise ValueError("price and budget must be in the same currency")
        if any(limit.amount <= 0 for limit in (*limits, *([self.price] if self.price else []))):
            raise ValueError("prices and budgets are more than nothing")
        return self

    @property
    def costs(self) -> Decimal:
        """Of one part; nothing where no price is known."""
        return self.price.amount if self.price else Decimal(0)


def takes_answers(sender: str) -> bool:
    """Whether somebody can answer: not to a name."""
    return sender.startswith(("whatsapp:", "+", "MG")) or sender.isdigit()
