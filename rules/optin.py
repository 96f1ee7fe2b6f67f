"""The words of `opt_in:` in shops.yaml: forms by which people ask to be written to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, model_validator

Wish = Literal["email_mkt", "sms_mkt", "track_open", "track_click"]
ABOUT_WRITING = {"email_mkt": "email", "sms_mkt": "sms"}


def _sentences(value: object) -> object:
    return {"": value} if isinstance(value, str) else value


Wording = Annotated[
    Mapping[str, Annotated[str, Field(min_length=10, max_length=2000)]],
    Field(min_length=1),
    BeforeValidator(_sentences),
    WithJsonSchema({"anyOf": [{"type": "string"}, {"type": "object", "additionalProperties": {"type": "string"}}]}),
]


class OptInWords(BaseModel):
    """One form. It is filled in on your own page, or on the one that tillbell shows at `/join/SHOP/FORM`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    purposes: tuple[Wish, ...] = Field(
        min_length=1,
        description="What is asked for: `email_mkt` or `sms_mkt`, and with the first `track_open` and `track_click`.",
    )
    wording: Wording = Field(
        description="The sentence that people agree to, word by word; or one for each language: `{de: …, en: …}`."
    )

    @model_validator(mode="after")
    def _is_about_one_channel(self) -> Self:
        if sum(one in ABOUT_WRITING for one in self.purposes) != 1:
            raise ValueError("a form is about e-mails (email_mkt) or about texts (sms_mkt), and about one of them")
        if self.channel == "sms" and len(self.purposes) > 1:
            raise ValueError("what mails may follow is asked for with the mails, not with texts")
        return self

    @property
    def channel(self) -> Literal["email", "sms"]:
        return "email" if "email_mkt" in self.purposes else "sms"

    def said(self, lang: str) -> str:
        """In this language, else in the one that stands first."""
        return self.wording.get(lang) or next(iter(self.wording.values()))
