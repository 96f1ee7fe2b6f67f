"""What the rules are told about one recovery, and what they answer."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Literal

MessageState = Literal[
    "planned", "prepared", "sending", "retry_wait", "accepted", "unknown", "delivered", "bounced", "complained",
    "withheld", "failed", "cancelled", "expired", "unknown_final", "given_up",
]  # fmt: skip
OPEN: frozenset[str] = frozenset({"planned", "prepared", "sending", "retry_wait"})
"""States in which a message is still on its way out."""
COUNTED: frozenset[str] = frozenset(
    {"sending", "accepted", "unknown", "delivered", "bounced", "complained", "unknown_final"}
)
"""States that count for caps: what was, or may have been, handed over."""
DONE: frozenset[str] = COUNTED | {"withheld", "failed", "expired", "given_up", "cancelled"}
"""A step in one of these is not taken again within its recovery."""


@dataclass(frozen=True, slots=True)
class Line:
    """One line of a cart as conditions see it."""

    product: str
    name: str
    quantity: Decimal
    price: Decimal | None
    category: str = ""


@dataclass(frozen=True, slots=True)
class Cart:
    changed_at: datetime
    """Shop time of the last change that we know of: steps count from here."""
    total: Decimal
    currency: str
    lines: tuple[Line, ...] = ()
    state: Literal["open", "ordered", "emptied"] = "open"
    stage: Literal["cart", "checkout", "payment", "frozen"] = "cart"


@dataclass(frozen=True, slots=True)
class Consent:
    """The newest word on one purpose (email_mkt, sms_mkt, push_mkt, track_open, track_click, ads_audience)."""

    state: Literal["hint", "requested", "confirmed", "withdrawn"]
    id: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Bought:
    """An earlier order of the person: the evidence of an existing customer."""

    ref: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Person:
    addresses: Mapping[str, str] = field(default_factory=dict)
    """By kind of identity: {"email": "ada@example.org"}."""
    suppressed: frozenset[str] = frozenset()
    """Channels on which the person's address is suppressed; "any" for all of them."""
    consents: Mapping[str, Consent] = field(default_factory=dict)
    last_bought: Bought | None = None
    """The newest order before this recovery that counts as a purchase."""
    zone: str = ""
    """IANA name; empty where unknown."""
    group: str = ""
    region: str = ""
    """Where goods were last sent to, by ISO 3166-2, like `US-TX`; empty where unknown."""
    active_at: datetime | None = None
    """When the person was last seen on the site or reacted to a message."""
    fewer: bool = False
    """They asked for fewer messages."""
    resting_until: datetime | None = None
    """They asked to be left alone until then."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A step of this recovery that became a message. Reactions are those classed human."""

    step: str
    channel: str
    state: MessageState
    at: datetime
    """Shop time of its latest change of state."""
    reactions: frozenset[str] = frozenset()
    """Of opened, clicked, replied, complained, bounced (because the address is dead): certain ones."""
    maybe: frozenset[str] = frozenset()
    """Of opened, clicked: hits that are classed machine or unknown."""


@dataclass(frozen=True, slots=True)
class Counted:
    """A message to the person, of any recovery and programme, that caps count."""

    channel: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Budget:
    """What a shop's texts may still cost. `said`: how much of what, in words."""

    used_up: bool
    said: str
    renews_at: datetime


@dataclass(frozen=True, slots=True)
class Facts:
    cart: Cart
    person: Person
    started_at: datetime
    """When the recovery was enrolled, shop time."""
    taken: tuple[Taken, ...] = ()
    counted: tuple[Counted, ...] = ()
    """Newest first, at least as far back as the longest cap of any policy reaches."""
    ended_by: str = ""
    """A fact that ends recoveries, if there is one: purchase, emptied, unsubscribed, complained, replied, bounced."""
    on_hold: bool = False
    """An order is there whose payment is pending or on hold: mails wait."""
    notice_since: datetime | None = None
    """Since when the shop has told customers at collection that they may object (existing-customer rule)."""
    shop_zone: str = "UTC"
    texts_to: frozenset[str] = frozenset()
    """Countries whose numbers get texts; none means any."""
    stood_still_until: datetime | None = None
    """Steps that were due before this instant are not made up for: nothing ran, or the past was forgotten."""
    tracking: bool = True
    budget: Budget | None = None
    """For texts; None: the shop has set none."""


@dataclass(frozen=True, slots=True)
class Question:
    """One question put to the policy, in the order they were asked."""

    asked: str
    answer: str
    passed: bool
    about: str = ""
    """What it is about, in one word for tables and counts: `cap`, `hours`, `no_basis`, …"""
    step: str = ""
    """The step it was asked for; empty where it is about the recovery."""


@dataclass(frozen=True, slots=True)
class Basis:
    """Why a message is allowed."""

    kind: Literal["consent", "existing_customer", "none_required"]
    evidence: str
    """`consent 812` or `order 4711`, with what makes it valid."""
    consent_id: int | None = None
    at: datetime | None = None
    """When the consent was confirmed or the order placed: the mail says so."""


@dataclass(frozen=True, slots=True)
class Send:
    """Take this step now. `not_after`: later than this it must not go out any more."""

    step: str
    channel: str
    due_at: datetime
    not_after: datetime
    basis: Basis
    because: str
    questions: tuple[Question, ...] = ()


@dataclass(frozen=True, slots=True)
class Wait:
    """Ask again at `until`."""

    until: datetime
    because: str
    questions: tuple[Question, ...] = ()
    reason: str = ""
    """One of rules.ladder.WAITS."""


@dataclass(frozen=True, slots=True)
class Stop:
    """The recovery is over. `reason` is one of rules.ladder.REASONS."""

    reason: str
    because: str
    questions: tuple[Question, ...] = ()


Verdict = Send | Wait | Stop


@dataclass(frozen=True, slots=True)
class Planned:
    """A message on its way out, as the gate sees it."""

    step: str
    channel: str
    not_after: datetime
    basis: Basis
    deferrals: int = 0


@dataclass(frozen=True, slots=True)
class Go:
    """It may leave now. `basis` as it stands now."""

    basis: Basis


@dataclass(frozen=True, slots=True)
class Defer:
    """Not now: cap, hours, activity, an order on hold, a cart that changed. `not_after`: its last moment from now on;
    None: as it was."""

    until: datetime
    reason: str
    not_after: datetime | None = None


@dataclass(frozen=True, slots=True)
class Cancel:
    """Never: what forbids it cannot come back. `state` is how the message ends; `reason` a word, or the sentence of
    the hold that outlasted it."""

    reason: str
    state: Literal["cancelled", "expired"] = "cancelled"


Passage = Go | Defer | Cancel
