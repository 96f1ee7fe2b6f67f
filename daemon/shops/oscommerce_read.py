"""What the rows of an osCommerce-family shop mean: keys, times, prices, statuses, consent. No I/O."""

from __future__ import annotations

import html
import ipaddress
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from decimal import ROUND_HALF_UP, Decimal, InvalidOperation
from functools import lru_cache
from typing import Any, Literal
from urllib.parse import quote
from zoneinfo import ZoneInfo

from daemon.shops.base import ConsentHint
from daemon.shops.dialects.dialect import WORDS, Standing

Row = Mapping[str, Any]

CENT = Decimal("0.01")
SLIP = timedelta(minutes=5)
"""A moment further ahead than this was not written by a clock in the zone we think."""
UNSEEN = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff]+")
KEY = re.compile(
    r"(?P<product>\d{1,10})"
    r"(?::(?P<digest>\w{1,64})|(?P<options>(?:\{[^{}]{1,40}\}[^{}]{0,200}?)*)(?:x(?P<combi>\d{1,10}))?)"
)
OPTION = re.compile(r"\{(?:txt_)?(\d+)\}(\d+)")


def text(value: Any, length: int = 255) -> str:
    """Fit to be kept and shown: no control characters or lone surrogates, entities resolved, at most `length`."""
    if isinstance(value, str) and value.isprintable() and "&" not in value and "  " not in value:
        return value[:length].strip()  # nearly all, and a whole reading has millions
    if isinstance(value, bytes):
        value = value.decode("utf-8", "replace")
    return " ".join(UNSEEN.sub(" ", html.unescape(str(value or ""))).split())[:length].strip()


@lru_cache(maxsize=8192)
def path(raw: str) -> str:
    """A file's path as a part of an address."""
    return quote(raw)


@dataclass(frozen=True, slots=True)
class Key:
    """A basket's products_id, taken apart."""

    text: str
    product: int
    options: tuple[tuple[int, int], ...] = ()
    """Option and value ids, as far as the text tells: Zen Cart's is only a digest."""
    combi: int = 0
    is_digest: bool = False

    @property
    def variant(self) -> str:
        """The whole key where it names more than the product."""
        return self.text if self.text != str(self.product) else ""


@lru_cache(maxsize=8192)
def key(raw: Any) -> Key | None:
    """`2`, `2{1}1{3}5`, `2:0cc1…` or `5x36`; None for what is none of these."""
    found = KEY.fullmatch(str(raw or ""))
    if not found:
        return None
    options = tuple((int(option), int(value)) for option, value in OPTION.findall(found["options"] or ""))
    return Key(found[0], int(found["product"]), options, int(found["combi"] or 0), bool(found["digest"]))


def moment(wall: datetime | None, zone: tzinfo) -> datetime | None:
    """A wall clock's reading in that zone. The hour that comes twice in autumn is taken as the later one: a message
    an hour late is better than one too early, and an order is never taken for older than it is."""
    return wall.replace(tzinfo=zone, fold=1).astimezone(UTC).replace(fold=0) if wall else None


def day(raw: Any, zone: tzinfo) -> datetime | None:
    """The beginning, in the shop's zone, of a day like 20261017."""
    try:
        return datetime.strptime(str(raw or ""), "%Y%m%d").replace(tzinfo=zone).astimezone(UTC)
    except ValueError:
        return None


def last_change(
    written: Iterable[Any], kind: Literal["day", "php", "utc"], zone: ZoneInfo, now: datetime
) -> tuple[datetime | None, Literal["second", "day", "unknown"]]:
    """When a basket's youngest line was written, and how precisely that is known. A date that lies ahead of us is
    not believed: the zone is wrong, and health() says so."""
    if kind == "day":
        known = [at for raw in written if (at := day(raw, zone))]
    else:
        known = [at for raw in written if (at := moment(raw, zone if kind == "php" else UTC))]
    latest = max(known, default=None)
    if latest is None or latest > now + SLIP:
        return None, "unknown"
    return latest, "day" if kind == "day" else "second"


def amount(value: Any) -> Decimal:
    """A number as the database spells it, exactly."""
    try:
        return Decimal(str(value if value is not None else 0))
    except InvalidOperation:
        return Decimal(0)


def price(product: Row, options: Iterable[Row], combi: Row | None, tax_percent: Mapping[int, Decimal]) -> Decimal:
    """What one piece costs by the catalogue: the running special or the usual price, plus options, plus tax. Group
    prices, quantity discounts and vouchers are not in it, so it is an estimate."""
    net = amount(product["price"] if product["special"] is None else product["special"])
    for option in options:
        extra = amount(option["price"])
        if option["prefix"] == "=":
            net = extra
        else:
            net += -extra if option["prefix"] == "-" else extra
    if combi is not None:
        net = amount(combi["price"]) if combi["price_type"] == "fix" else net + amount(combi["price"])
    gross = net * (1 + tax_percent.get(int(product["tax_class"] or 0), Decimal(0)) / 100)
    return gross.quantize(CENT, ROUND_HALF_UP)


def in_stock(product: Row, combi: Row | None) -> bool:
    """Where combinations keep the stock (rule 2, or 0: as the shop is set), theirs counts; with rule 3 nothing does."""
    rule = product["combis_rule"]
    if combi is not None and rule == 3:
        return True
    counted = combi if combi is not None and rule in (0, 2) else product
    return amount(counted["quantity"]) > 0


def region(country: Any, state: Any) -> str:
    """ISO 3166-2 of an American state. The shops' own codes of other countries' parts are no ISO ones."""
    home, code = text(country, 2).upper(), text(state, 32).upper()
    return f"US-{code}" if home == "US" and re.fullmatch("[A-Z]{2}", code) else ""


def standing(
    status_id: int, names: Sequence[str], by_id: Mapping[int, Standing], told: Mapping[int | str, Standing]
) -> Standing:
    """What an order's status means: as the owner told by number or name, as the dialect knows, by its words."""
    lowered = [name.casefold() for name in names]
    keys: list[int | str] = [status_id, str(status_id), *lowered]
    for known in keys:
        if known in told:
            return told[known]
    if status_id in by_id:
        return by_id[status_id]
    return next((meaning for word, meaning in WORDS if any(word in name for name in lowered)), "purchase")


def network(address: Any) -> str:
    """An IP address without its last part: evidence enough, and less of a person."""
    try:
        found = ipaddress.ip_address(str(address or "").strip())
    except ValueError:
        return ""
    return str(ipaddress.ip_network(f"{found}/{24 if found.version == 4 else 48}", strict=False))


def consents(flag: Any, recipient: Row | None, kind: str, zone: tzinfo) -> tuple[ConsentHint, ...]:
    """What the shop says of e-mail marketing. A ticked box is a hint; a confirmation needs its evidence: the date and
    the network that it came from. A confirmation in the second of the sign-up is the shop's own (double opt-in off)."""
    hints = [ConsentHint("email_mkt", "hint", source="customers_newsletter")] if str(flag or "") == "1" else []
    if recipient is not None:
        hints.append(by_recipient(recipient, kind, zone))
    return tuple(hints)


def by_recipient(row: Row, kind: str, zone: tzinfo) -> ConsentHint:
    source = "newsletter_recipients"
    signed, confirmed = moment(row["signed"], zone), moment(row["confirmed"], zone)
    if str(row["status"]) == "2" or (str(row["status"]) == "0" and confirmed):
        return ConsentHint("email_mkt", "withdrawn", source=source)
    if str(row["status"]) != "1":
        return ConsentHint("email_mkt", "requested", signed, source)
    at = confirmed if kind == "confirmed" else signed
    place = network(row["confirmed_from"] if kind == "confirmed" else row["signed_from"])
    proven = at is not None and (kind == "confirmed" or bool(place)) and not int(row["by_admin"] or 0)
    if kind == "confirmed" and confirmed == signed:
        proven = False
    if kind not in ("confirmed", "signed") or not proven or at is None:
        return ConsentHint("email_mkt", "hint", signed, source)
    word = "confirmed" if kind == "confirmed" else "signed up (the shop keeps no time of the confirmation)"
    evidence = f"{word} {at:%Y-%m-%d %H:%M:%S} UTC from {place or 'an address not kept'}"
    return ConsentHint("email_mkt", "confirmed", at, source, evidence)
