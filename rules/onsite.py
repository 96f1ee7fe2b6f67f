"""The words of `onsite:` in shops.yaml, and of `notice:` in a step: what the script on the shop's pages does."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from rules.values import Subject

ABOUT = ("remind", "leave", "push")
"""What a text can be for: a reminder of the cart, one who is about to leave, the question for pushes."""


def _several(value: object) -> object:
    return (value,) if isinstance(value, str) else value


def _key(text: object) -> str:
    if not isinstance(text, str) or len(text) < 32 or not text.isascii() or not text.isprintable() or " " in text:
        raise ValueError(
            "a key needs 32 characters or more, without spaces; make one with: "
            "python3 -c 'import secrets; print(secrets.token_urlsafe(32))'"
        )
    return text


def _host(text: object) -> str:
    parts = urlsplit(f"//{text}")
    try:
        right = parts.hostname is not None and parts.netloc == text and "@" not in text and "*" not in text
        _ = parts.port  # raises for a port that is none
    except (TypeError, ValueError):
        right = False
    if not right:
        raise ValueError(f'"{text}" is not a host; write it in full, like "www.shop.example"')
    return str(text).lower()


Key = Annotated[str, BeforeValidator(_key)]
Keys = Annotated[tuple[Key, ...], BeforeValidator(_several)]
PageHost = Annotated[str, BeforeValidator(_host)]
About = Literal["remind", "leave", "push"]


class _Words(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class TextWords(_Words):
    """What one notice says; a text for all languages, or one for each. What is left out, tillbell says itself."""

    title: Subject | None = Field(None, description="The first line.")
    text: Subject | None = Field(None, description="What stands under it.")
    button: Subject | None = Field(None, description="What leads to the cart, or says yes.")
    later: Subject | None = Field(None, description="What says no.")


class NoticeWords(TextWords):
    """How a step's notice looks."""

    when: Literal["returns", "leaves"] = Field(
        "returns",
        description="`returns`: as soon as the person is on the site again. `leaves`: once they are about to leave it "
        "(the pointer goes out at the top, or, on a phone, they come back to the page from another).",
    )


class OnsiteWords(_Words):
    """The script on the shop's own pages; see [on-site](onsite.md)."""

    on: bool = Field(True, description="`false` takes everything back: the script does nothing any more.")
    key: Keys = Field(
        min_length=1,
        max_length=2,
        repr=False,
        description="What the shop's server signs with who looks at a page: 32 characters or more, best as `${NAME}`; "
        "a list of two while it is being changed.",
    )
    hosts: tuple[PageHost, ...] = Field(
        (),
        description="Further hosts whose pages carry the script, in full, like `www.shop.example`; those of `url` and "
        "`cart_page` are known.",
    )
    carts: bool = Field(
        False,
        description="Carts that the script reports count as carts: for a shop that does not tell of carts otherwise. "
        "With a step by `onsite` or `webpush` those of visitors whom nobody names are followed up, too.",
    )
    ask_for_push: Literal["second_page", "after_cart", "when_called", "never"] = Field(
        "when_called",
        description="When a visitor who allowed it is asked for web pushes: on the second page, once something lies in "
        "the cart, when the shop's page calls `tillbell.askForPush()`, or never. At most once in 30 days, and never as "
        "a page loads.",
    )
    texts: Mapping[About, TextWords] = Field(
        default_factory=dict,
        description="Your own words: `remind`, `leave` (for `when: leaves`) and `push`, each with `title`, `text`, "
        "`button` and `later`.",
    )

    @model_validator(mode="after")
    def _keys_differ(self) -> OnsiteWords:
        if len(set(self.key)) < len(self.key):
            raise ValueError("the two keys are the same")
        return self


def origins(url: str, cart_page: str | None, words: OnsiteWords) -> frozenset[str]:
    """Of the pages that may speak to us (RFC 6454): scheme, host and port, exactly."""
    own = {_origin(page) for page in (url, cart_page or url)}
    scheme = urlsplit(url).scheme
    return frozenset(own | {f"{scheme}://{host}" for host in words.hosts})


def _origin(page: str) -> str:
    parts = urlsplit(page)
    port = "" if parts.port in (None, {"https": 443, "http": 80}.get(parts.scheme)) else f":{parts.port}"
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}{port}"
