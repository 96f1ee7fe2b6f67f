"""Words that rule files will know: refused with a clear sentence until what they need exists."""

from __future__ import annotations

from typing import Annotated

from pydantic import PlainValidator, WithJsonSchema

CHANNELS = ("email", "sms", "audience", "webpush", "onsite")
LATER_CHANNELS: dict[str, str] = {}
PROGRAMMES = ("cart",)
LATER_PROGRAMMES = ("no_purchase", "winback", "reorder")
LATER_WORDS = {
    "incentive": "give incentives",
    "experiment": "run experiments",
    "arms": "run experiments",
}


def not_yet(what: str) -> str:
    return f"this version of tillbell cannot {what} yet"


def _read_channel(value: object) -> str:
    if value in CHANNELS:
        return str(value)
    if value in LATER_CHANNELS:
        raise ValueError(not_yet(LATER_CHANNELS[str(value)]))
    raise ValueError(f'"{value}" is not a channel; channels are {", ".join(CHANNELS)}')


def _read_programme(value: object) -> str:
    if value in PROGRAMMES:
        return str(value)
    if value in LATER_PROGRAMMES:
        raise ValueError(not_yet(f"run the programme {value}"))
    raise ValueError(f'"{value}" is not a programme; programmes are {", ".join(PROGRAMMES)}')


Channel = Annotated[str, PlainValidator(_read_channel), WithJsonSchema({"enum": list(CHANNELS)})]
Programme = Annotated[str, PlainValidator(_read_programme), WithJsonSchema({"enum": list(PROGRAMMES)})]
