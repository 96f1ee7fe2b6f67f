"""The model of shops.yaml: shops, their senders, and how each is reached. Every word documented once."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time
from math import log
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit

from email_validator import EmailNotValidError, validate_email
from pydantic import AfterValidator, Field, ValidationError, WithJsonSchema, field_validator, model_validator

from rules import hours
from rules.audiences import AudienceWords
from rules.mistakes import from_validation
from rules.onsite import OnsiteWords, origins
from rules.optin import OptInWords
from rules.policy import Law, Words
from rules.source import Mistake, Node
from rules.texts import SmsWords
from rules.values import Share


def _address(text: str) -> str:
    try:
        found = validate_email(text, check_deliverability=False, test_environment=True, allow_display_name=False)
    except EmailNotValidError as error:
        raise ValueError(f'"{text}" is not an e-mail address: {error}') from None
    return found.normalized


def _url(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.username or re.search(r"\s", text):
        raise ValueError(f'"{text}" is not an address of the web; write it in full, like "https://shop.example"')
    return text


def _host(text: str) -> str:
    if not re.fullmatch(r"(\*\.)?[A-Za-z0-9-]+(\.[A-Za-z0-9-]+)*", text):
        raise ValueError(f'"{text}" is not a host name; write it like "shop.example"')
    return text.lower()


def _zone(text: str) -> str:
    if hours.zone(text) is None:
        raise ValueError(f'"{text}" is not a time zone; write it like "Europe/Berlin"')
    return text


def _matching(pattern: str, hint: str) -> AfterValidator:
    def check(text: str) -> str:
        if not re.fullmatch(pattern, text):
            raise ValueError(f'"{text}" is {hint}')
        return text

    return AfterValidator(check)


def _day(text: object) -> date:
    if isinstance(text, date):
        return text
    try:
        return date.fromisoformat(str(text))
    except ValueError:
        raise ValueError(f'"{text}" is not a day; write it like "2024-05-01"') from None


Address = Annotated[str, AfterValidator(_address)]
Url = Annotated[str, AfterValidator(_url)]
Host = Annotated[str, AfterValidator(_host)]
Zone = Annotated[str, AfterValidator(_zone)]
Locale = Annotated[str, _matching(r"[a-z]{2,3}(-[A-Za-z]{4})?(-[A-Z]{2})?", 'not a locale; write it like "de-DE"')]
Currency = Annotated[str, _matching(r"[A-Z]{3}", 'not a currency; write it like "EUR"')]
Colour = Annotated[str, _matching(r"#[0-9a-fA-F]{6}", 'not a colour; write it like "#1f6f54"')]


AudienceName = Annotated[str, _matching(r"[a-z][a-z0-9-]{0,39}", "not a name of an audience")]
Folder = Annotated[str, _matching(r"[ -%'-~]{1,200}", "not the name of a folder: letters without accents, no &")]


class WarmUp(Words):
    """For a sender domain that is new: few mails at first, more each day, until providers know it."""

    first_day: int = Field(
        ge=1, description="Most mails to customers on the first day, which begins with the first one."
    )
    grows: float = Field(1.5, ge=1.1, le=4, description="So many times as many may go on each further day.")
    until: int = Field(ge=1, description="Once a day would allow as many as this, nothing is held back any more.")

    @model_validator(mode="after")
    def _upwards(self) -> Self:
        if self.until <= self.first_day:
            raise ValueError("until must be more than first_day, else nothing is held back")
        return self

    def limit(self, day: int) -> int | None:
        """How many on that day, the first being 1; None: as many as there are."""
        if (day - 1) * log(self.grows) >= log(self.until / self.first_day):
            return None
        return int(self.first_day * self.grows ** (day - 1))


class Sender(Words):
    """Whose name stands under the mails."""

    name: str = Field(min_length=1, description="Name that people see as the sender.")
    address: Address = Field(description="Address that mails come from.")
    reply_to: Address | None = Field(None, description="Where answers go, if not to `address`.")
    imprint: tuple[str, ...] = Field(
        (),
        description="Who you are, as the law wants it in each mail, line by line: name, street, town, register, "
        "authorised persons. A live shop needs at least a name and a postal address.",
    )
    bounce_domain: Host | None = Field(
        None, description="Host of the addresses that undeliverable mails come back to; the sender's by default."
    )
    warm_up: WarmUp | None = Field(
        None, description="How a new sender domain begins: `{first_day: 50, grows: 1.5, until: 20000}`."
    )

    @field_validator("name")
    @classmethod
    def _one_line(cls, name: str) -> str:
        if re.search(r"[\x00-\x1f\u2028\u2029]", name):
            raise ValueError("a name is one line")
        return name


class MailboxWords(Words):
    """A mailbox (IMAP) in which replies and reports arrive. Replies stay in it, untouched."""

    host: Host = Field(description="Mail server.")
    port: int = Field(993, ge=1, le=65535, description="Its port: 993, or 143 with `starttls`.")
    tls: Literal["implicit", "starttls", "none"] = Field(
        "implicit", description="Encryption; `none` is for a server on this machine only."
    )
    user: str = Field(min_length=1, description="User name.")
    password: str = Field(repr=False, description="Password, best as `${NAME}` from the environment.")
    folders: tuple[Folder, ...] = Field(("INBOX",), min_length=1, description="Folders that are looked at.")
    handled: Folder | Literal[""] = Field(
        "", description="Folder that reports are moved to once they are kept; empty: they stay, marked as read."
    )

    @model_validator(mode="after")
    def _keeps_the_password_secret(self) -> Self:
        if self.tls == "none" and self.host not in ("localhost", "127.0.0.1"):
            raise ValueError("tls: none is for a server on this machine only, else anybody can read the password")
        return self

    @model_validator(mode="after")
    def _moves_on(self) -> Self:
        if self.handled in self.folders:
            raise ValueError("handled must not be one of the folders that are looked at")
        return self


class Notice(Words):
    """What existing customers are told when they give their address."""

    since: Annotated[date, WithJsonSchema({"type": "string", "format": "date"})] = Field(
        description="First day on which the shop told them at checkout that they may object to such mails."
    )
    version: str = Field("", description="Your name for the wording, to be found again.")

    _read_since = field_validator("since", mode="before")(staticmethod(_day))


class Looks(Words):
    """How the mails look."""

    logo_url: Url | None = Field(None, description="Address of the logo.")
    accent: Colour = Field("#1f6f54", description="Colour of buttons and links.")
    shipping_url: Url | None = Field(None, description="Page about delivery.")
    returns_url: Url | None = Field(None, description="Page about returns.")


class ShopWords(Words):
    """One shop."""

    connector: str = Field(description="How the shop is reached: name of its connector, such as `feed` or `push`.")
    title: str = Field("", description="What customers call the shop; the sender's name by default.")
    mode: Literal["rehearsal", "live"] = Field(
        "rehearsal", description="`rehearsal` decides for real and writes to nobody but `rehearsal_to`."
    )
    rehearsal_to: Address | None = Field(None, description="Where the mails of a rehearsal go; empty: nowhere.")
    zone: Zone = Field("UTC", description="Time zone of people whose own is not known.")
    locale: Locale = Field("en", description="Language of people whose own is not known.")
    currency: Currency = Field("EUR", description="Currency of carts that name none.")
    url: Url = Field(description="Address of the shop.")
    cart_page: Url | None = Field(None, description="Page with the cart, where the shop has no link that restores it.")
    link_hosts: tuple[Host, ...] = Field((), description="Further hosts that links in mails may lead to.")
    holdout: Share = Field(
        0.1, description="Share of people who get no message, so that the effect can be seen; per person, for ever."
    )
    legal: Law | None = Field(None, description="Country profile of policies that name none themselves.")
    sender: Sender | None = Field(None, description="Whose name stands under the mails; a live shop needs one.")
    mailbox: MailboxWords | None = Field(
        None, description="Where replies and undeliverable mails arrive, if they are to be fetched by IMAP."
    )
    existing_customer_notice: Notice | None = Field(
        None, description="Since when customers are told that they may object; without it only consent counts."
    )
    when_shop_silent: Literal["wait", "send"] = Field(
        "wait", description="What happens to due messages while the shop cannot be asked about new orders."
    )
    sold_out: Literal["mark", "leave_out"] = Field("mark", description="What becomes of sold-out lines in a mail.")
    looks: Looks = Field(default_factory=Looks, description="How the mails look.")
    onsite: OnsiteWords | None = Field(None, description="The script on the shop's pages; without it there is none.")
    audiences: Mapping[AudienceName, AudienceWords] = Field(
        default_factory=dict, description="Ad audiences that steps may name, each under its name."
    )
    opt_in: Mapping[Annotated[str, _matching(r"[a-z][a-z0-9-]{0,39}", "not a name of a form")], OptInWords] = Field(
        default_factory=dict, description="Forms by which people ask to be written to, by name."
    )
    sms: SmsWords = Field(default_factory=SmsWords, description="How the shop writes text messages.")
    connection: Mapping[str, Any] = Field(
        default_factory=dict,
        repr=False,
        description="What the connector needs: addresses, users, keys. Write secrets as `${NAME}` (from the "
        "environment) or `{file: path}`.",
    )

    @property
    def shown_as(self) -> str:
        return self.title or (self.sender.name if self.sender else "") or str(urlsplit(self.url).hostname)

    @property
    def notice_since(self) -> datetime | None:
        """The first instant of that day where the shop is."""
        if self.existing_customer_notice is None:
            return None
        return datetime.combine(self.existing_customer_notice.since, time(), hours.zone_of("", self.zone)).astimezone(
            UTC
        )

    @property
    def script(self) -> OnsiteWords | None:
        """What the script on the shop's pages does; None where there is none, or it was switched off."""
        return self.onsite if self.onsite is not None and self.onsite.on else None

    @property
    def page_origins(self) -> frozenset[str]:
        """Of the pages that may speak to us; empty without the script."""
        return origins(self.url, self.cart_page, self.script) if self.script is not None else frozenset()

    @property
    def country(self) -> str:
        """Where the shop is (ISO 3166-1), by its country profile or its locale; empty where neither says it."""
        by_law = {"uk": "GB", "none": "", None: ""}.get(self.legal, (self.legal or "").upper())
        return by_law or (self.locale.rpartition("-")[2] if re.fullmatch(r".*-[A-Z]{2}", self.locale) else "")

    @property
    def hosts(self) -> tuple[str, ...]:
        """Hosts that links may lead to: the shop's own, its cart page's, and those listed."""
        own = [urlsplit(page).hostname or "" for page in (self.url, self.cart_page or self.url)]
        return tuple(dict.fromkeys([*own, *self.link_hosts]))


class ShopsFile(Words):
    """shops.yaml."""

    shops: Mapping[Annotated[str, _matching(r"[a-z][a-z0-9-]{0,39}", "not a name of a shop")], ShopWords] = Field(
        description="The shops, each under its name."
    )


@dataclass(frozen=True, slots=True)
class ShopsReading:
    shops: Mapping[str, ShopWords]
    mistakes: tuple[Mistake, ...]


def shops_from(tree: Node) -> ShopsReading:
    """The shops of a tree whose secrets are in place, or all mistakes."""
    try:
        shops = ShopsFile.model_validate(tree.plain()).shops
    except ValidationError as error:
        return ShopsReading({}, tuple(sorted(from_validation(error, tree, ShopsFile))))
    mistakes = [mistake for name, shop in shops.items() for mistake in _what_mails_need(name, shop, tree)]
    return ShopsReading({} if mistakes else shops, tuple(sorted(mistakes)))


def _what_mails_need(name: str, shop: ShopWords, tree: Node) -> list[Mistake]:
    """A sender, and in a live shop what each mail must show (§ 5 DDG, Art. 13 GDPR)."""
    live, place = shop.mode == "live", tree.find(("shops", name, "sender"))
    if shop.sender is None:
        whose = "a live shop" if live else "a rehearsal that writes to rehearsal_to"
        text = f"{whose} needs a sender: {{name: …, address: …, imprint: […]}}"
        return [Mistake(place, text)] if live or shop.rehearsal_to else []
    if live and len([line for line in shop.sender.imprint if line.strip()]) < 2:
        return [
            Mistake(place, "a live shop needs an imprint: at least your name and your postal address, line by line")
        ]
    return []
