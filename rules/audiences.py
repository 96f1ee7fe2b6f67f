"""The model of an ad audience in shops.yaml, and who of its members stay out so that its effect can be seen."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from rules.policy import Words
from rules.values import Share

NEEDED: Mapping[str, tuple[str, ...]] = {"meta": ("id", "token"), "google": ("account", "id", "key"), "file": ("to",)}
"""What a platform cannot do without."""
OF_ONE: Mapping[str, tuple[str, ...]] = {
    "token": ("meta",),
    "limited_data_use": ("meta",),
    "account": ("google",),
    "login_account": ("google",),
    "key": ("google",),
    "terms_accepted": ("google",),
    "id": ("meta", "google"),
    "api": ("meta", "google"),
    "form": ("file",),
    "to": ("file",),
    "storage": ("file",),
}
"""Words that mean something to these platforms only."""


def _number(text: str) -> str:
    plain = text.replace("-", "")
    if plain and not re.fullmatch(r"[0-9]{1,20}", plain) and "${" not in plain:
        raise ValueError(f'"{text}" is not a number as the platform shows it; put it in quotes, like "1234567890"')
    return plain


def _web(text: str) -> str:
    if text and not re.fullmatch(r"https?://[^\s@?#]+", text):
        raise ValueError(f'"{text}" is not an address of the web; write it in full, like "https://ads.example"')
    return text.rstrip("/")


Number = Annotated[str, AfterValidator(_number)]


class AudienceWords(Words):
    """One ad audience. Who is in it: people whose step put them there and who agreed to ad audiences (`ads_audience`),
    until the step's `for` is over, they buy, or withdraw. Nothing is uploaded below 100 people."""

    platform: Literal["meta", "google", "file"] = Field(
        description="`meta` (Facebook and Instagram), `google` (Customer Match), or `file`: CSV files to be uploaded "
        "by hand or by something else."
    )
    id: Number = Field("", description="The platform's number of the audience.")
    token: str = Field("", repr=False, description="meta: access token of a system user, as `${NAME}`.")
    limited_data_use: bool = Field(False, description="meta: flag uploads for limited data use (for people in the US).")
    account: Number = Field("", description="google: number of the ads account.")
    login_account: Number = Field("", description="google: number of the manager account, where one is needed.")
    key: str = Field(
        "", repr=False, description="google: JSON key of a service account, as `${NAME}` or `{file: path}`."
    )
    terms_accepted: bool = Field(
        False, description="google: you accepted the Customer Match terms in the account; nothing is uploaded before."
    )
    form: Literal["meta", "google"] = Field("meta", description="file: whose form the files have.")
    to: str = Field(
        "", description="file: a folder, or `s3://bucket/folder`, `gs://…`, `az://account/container/folder`."
    )
    storage: Mapping[str, str] = Field(
        default_factory=dict,
        repr=False,
        description="file: what the object store needs, such as `access_key_id`, `secret_access_key`, `region`.",
    )
    api: Annotated[str, AfterValidator(_web)] = Field("", description="Another address of the platform, for tests.")
    control: Share = Field(
        0.1, description="Share of people who stay out of it, so that its effect can be seen; per person, for ever."
    )

    @model_validator(mode="after")
    def _fits_its_platform(self) -> Self:
        missing = [word for word in NEEDED[self.platform] if not getattr(self, word).strip()]
        if missing:
            raise ValueError(f"an audience at {self.platform} needs {' and '.join(missing)}")
        strange = [
            word for word, whose in OF_ONE.items() if word in self.model_fields_set and self.platform not in whose
        ]
        if strange:
            raise ValueError(f'"{strange[0]}" says nothing to {self.platform}: it is a word of {OF_ONE[strange[0]][0]}')
        if self.platform == "google":
            if not self.terms_accepted:
                raise ValueError("accept the Customer Match terms in the account, then write terms_accepted: true")
            _check_key(self.key)
        return self


def _check_key(key: str) -> None:
    """Its words never appear in the sentence."""
    if "${" in key:
        return  # not filled in: whoever reads without the environment
    try:
        found = json.loads(key)
    except ValueError:
        found = None
    if not isinstance(found, dict) or not all(found.get(word) for word in ("client_email", "private_key")):
        raise ValueError("key is not the JSON key of a service account, with client_email and private_key")


def stays_out(audience: str, split_key: float, share: float) -> bool:
    """Whether a person belongs to the control group of this audience: always the same answer for one of both.

    `split_key` is the random number in [0, 1) that a person gets at birth. Independent of the holdout and of other
    audiences; whoever stays out at one share does so at every larger one.
    """
    drawn = hashlib.blake2b(f"{audience}:{split_key!r}".encode(), digest_size=8).digest()
    return int.from_bytes(drawn, "big") / 2**64 < share
