"""The model of a policy: every word of a rule file, documented once."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    PlainValidator,
    ValidationError,
    ValidationInfo,
    WithJsonSchema,
    field_validator,
    model_validator,
)
from pydantic_core import PydanticCustomError

from rules.later import CHANNELS, LATER_CHANNELS, Channel, Programme
from rules.law import PROFILES
from rules.onsite import NoticeWords
from rules.source import did_you_mean
from rules.texts import Wording
from rules.values import Amount, Cap, Caps, DayPart, Span, Subject

Reaction = Literal["opened", "clicked", "replied", "bounced"]
Fate = Literal["sent", "opened", "clicked", "replied", "bounced"]
"""What can have become of an earlier step: it went out at all, or somebody reacted to it."""
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Stops = Literal["purchase", "emptied", "unsubscribed", "complained", "replied", "bounced"]
Stage = Literal["cart", "checkout", "payment", "frozen"]
UnknownOpen = Literal["wait_click", "treat_unopened", "treat_opened"]
ALWAYS_STOPS = ("purchase", "unsubscribed", "complained")
TAKEN_NAMES = frozenset({"cart", "person", "steps", "cel", "any"})


def _step_name(name: str) -> str:
    if name in TAKEN_NAMES:
        raise ValueError(f'"{name}" is a word of conditions and cannot name a step')
    if not re.fullmatch(r"[a-z][a-z0-9-]{0,39}", name):
        raise ValueError(f'"{name}" is not a name: small letters, digits and "-", a letter first, at most 40')
    return name


def _pattern(pattern: str) -> str:
    if "@" not in pattern or not pattern.isascii() or any(sign.isspace() for sign in pattern):
        raise ValueError(f'"{pattern}" is not a pattern of addresses; write "@example.com", "*" stands for anything')
    return pattern.lower()


def _law(name: object) -> str:
    if isinstance(name, str) and name in PROFILES:
        return name
    hint = did_you_mean(name, list(PROFILES))
    raise ValueError(f'"{name}" is not a country profile{hint}; profiles are {", ".join(PROFILES)}')


Law = Annotated[str, PlainValidator(_law), WithJsonSchema({"enum": list(PROFILES)})]
StepName = Annotated[str, AfterValidator(_step_name)]
Pattern = Annotated[str, AfterValidator(_pattern)]


class Words(BaseModel):
    """A part of a rule file. What it does not know it refuses."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class CartWords(Words):
    """About the cart; all of the words given must hold."""

    total_below: Amount | None = Field(None, description="The cart is worth less than this.")
    total_at_least: Amount | None = Field(None, description="The cart is worth this or more.")
    items_below: int | None = Field(None, ge=1, description="Fewer pieces than this lie in the cart.")
    items_at_least: int | None = Field(None, ge=1, description="This many pieces or more lie in the cart.")
    category: tuple[str, ...] = Field((), description="A line of one of these categories lies in the cart.")
    product: tuple[str, ...] = Field((), description="One of these products (the shop's own number) lies in the cart.")
    stage: tuple[Stage, ...] = Field((), description="How far the customer came: `cart`, `checkout` or `payment`.")


class PersonWords(Words):
    """About the person; all of the words given must hold."""

    group: tuple[str, ...] = Field((), description="The person is in one of these customer groups of the shop.")
    existing_customer: bool | None = Field(None, description="The person bought before (or, with `false`, never did).")


class Condition(Words):
    """Either one CEL expression, or structured words: names of earlier steps with reactions, `cart`, `person`."""

    cel: str = Field("", max_length=1000, description="A CEL expression over `cart`, `person` and `steps`.")
    steps: Mapping[str, tuple[Fate, ...]] = Field(
        default_factory=dict,
        description="Earlier steps and the reactions to them of which one is enough; `sent`: it went out at all.",
    )
    cart: CartWords | None = Field(None, description="What must be true of the cart.")
    person: PersonWords | None = Field(None, description="What must be true of the person.")

    @model_validator(mode="before")
    @classmethod
    def _as_written(cls, value: object) -> object:
        """A text is CEL; in a mapping, what is neither cart nor person is a step."""
        if isinstance(value, str):
            return {"cel": value}
        if not isinstance(value, dict):
            if isinstance(value, Condition):
                return value
            raise ValueError("write a CEL expression, or words like {remind: [opened, clicked]}")
        if set(value) == {"cel", "steps", "cart", "person"}:
            return value
        about = {key: value[key] for key in ("cart", "person") if key in value}
        return {**about, "steps": {key: _listed(item) for key, item in value.items() if key not in about}}


def _listed(value: object) -> object:
    return [value] if isinstance(value, str) else value


class Never(Words):
    """People who are never written to."""

    addresses: tuple[Pattern, ...] = Field(
        (),
        description="Patterns of addresses: `@marketplace.amazon.com` is that host, `*` stands for anything. "
        "Addresses that a marketplace makes up must not be written to.",
    )
    groups: tuple[str, ...] = Field((), description="Customer groups of the shop, such as staff or dealers.")


class Starts(Words):
    """When a cart becomes a recovery."""

    rests_for: Span = Field(
        timedelta(hours=1),
        description="How long a cart lies still before it is taken for left. Also: how long a person who is active "
        "again is left alone.",
    )
    total_at_least: Amount | None = Field(None, description="Carts worth less are left alone; other currencies too.")
    not_older_than: Span = Field(
        timedelta(days=3), description="Catch-up limit: a cart that is found later than this is left alone."
    )
    existing_customers_only: bool = Field(False, description="Only people who bought before.")
    again_after: Span = Field(timedelta(days=14), description="Rest between two recoveries of one person.")
    only_if: Condition | None = Field(None, description="A further condition on the cart and the person.")
    never: Never = Field(default_factory=Never, description="People who are never written to.")


def _only_opened(schema: dict[str, Any]) -> None:
    """Editors and docs are not told of channels that are for later."""
    for channel in LATER_CHANNELS:
        schema["properties"].pop(channel, None)


class CapWords(Words):
    """How much a person gets at most, over all recoveries and programmes of the shop."""

    model_config = ConfigDict(json_schema_extra=_only_opened)

    any: Caps = Field((), description="Messages on all channels together, like `4 per 7d`; a list of caps may stand.")
    email: Caps = Field((), description="E-mails, like `1 per 24h`.")
    sms: Caps = Field((), description="Text messages, like `1 per 7d`.")
    webpush: Caps = Field((), description="Web pushes, like `2 per 7d`.")
    onsite: Caps = Field((), description="Notices on the site, like `1 per 24h`.")
    audience: Caps = Field((), description="Times that a person is put into an ad audience, like `1 per 30d`.")
    same_channel_gap: Span | None = Field(None, description="Least time between two messages on the same channel.")

    @field_validator("*", mode="before")
    @classmethod
    def _for_later(cls, value: object, info: ValidationInfo) -> object:
        """A channel that is for later has no caps yet; the word is refused as if it were not there."""
        if value and info.field_name in LATER_CHANNELS:
            raise PydanticCustomError("extra_forbidden", "for later")
        return value

    def of(self, channel: str) -> tuple[Cap, ...]:
        """The caps on one channel alone. Every channel has its word here."""
        caps: tuple[Cap, ...] = getattr(self, channel)
        return caps

    def every(self) -> tuple[Cap, ...]:
        """All caps, whatever they count."""
        return (*self.any, *(cap for channel in (*CHANNELS, *LATER_CHANNELS) for cap in self.of(channel)))


class On(Words):
    """When this policy writes, by the clock where the person lives."""

    days: tuple[Day, ...] = Field(
        ("mon", "tue", "wed", "thu", "fri", "sat", "sun"), min_length=1, description="Days of the week."
    )
    between: DayPart | None = Field(None, description="Part of the day, like `9:00-18:00`.")


class Step(Words):
    """One rung of the ladder."""

    model_config = ConfigDict(populate_by_name=True)

    name: StepName = Field(description="Its name: in reports, in `unless` of later steps, and for its template.")
    send: Channel = Field(description="The channel: `email`.")
    after: Span = Field(description="Time after the last change of the cart. The steps are climbed in this order.")
    unless: Condition | None = Field(
        None, description="The step is left out when this holds; of several entries one is enough."
    )
    only_if: Condition | None = Field(None, description="The step is left out unless this holds; every entry must.")
    audience: str = Field("", description="With `send: audience`: the audience of shops.yaml that the person joins.")
    stays: Span | None = Field(
        None,
        alias="for",
        description="With `send: audience`: how long they stay in it, like `14d`. Whoever buys or withdraws is out "
        "sooner.",
    )
    template: str = Field("", pattern=r"^[a-z0-9-]*$", description="Name of its template; the step's own by default.")
    subject: Subject | None = Field(
        None, description="Subject of the mail instead of the template's; one text, or one for each language."
    )

    notice: NoticeWords | None = Field(
        None, description="With `send: onsite`: what the notice says, and when it shows."
    )

    @model_validator(mode="after")
    def _has_what_its_channel_needs(self) -> Self:
        if self.notice is not None and self.send != "onsite":
            raise ValueError("`notice` goes with `send: onsite` only")
        if self.send == "audience" and (not self.audience or self.stays is None):
            raise ValueError("a step into an ad audience says which and for how long: {audience: NAME, for: 14d}")
        if self.send != "audience" and (self.audience or self.stays is not None):
            raise ValueError("`audience` and `for` go with `send: audience` only")
        return self

    text: Wording | None = Field(
        None,
        description="For `send: sms`: what the text says instead of the shipped words; one text, or one for each "
        "language, with `{shop}`, `{name}`, `{first_line}`, `{count}`, `{total}`, `{link}` and `{stop}` in it.",
    )

    over_budget: Literal["wait", "leave_out"] | None = Field(
        None,
        description="For `send: sms`, when the shop's budget for texts is used up: `wait` for its next day or month, "
        "as by default, or `leave_out` the step at once, for another one to take its place: `unless: {nudge: [sent]}`.",
    )

    @model_validator(mode="after")
    def _has_a_budget(self) -> Self:
        if self.over_budget is not None and self.send != "sms":
            raise ValueError("`over_budget` goes with `send: sms` only: nothing else has a budget")
        return self

    @property
    def template_name(self) -> str:
        return self.template or self.name


class PolicyWords(Words):
    """What a rule file says, its preset laid under it."""

    programme: Programme = Field("cart", description="The door in: `cart`.")
    shops: tuple[str, ...] = Field((), description="Shops of shops.yaml that this policy serves; empty means all.")
    legal: Law | None = Field(
        None,
        description="Country profile: whose law decides on basis, hours and tracking; see below. `none` leaves the "
        "law to you and is never a default. A shop that is live needs one, here or in shops.yaml.",
    )
    starts: Starts = Field(default_factory=Starts, description="When a cart becomes a recovery.")
    stops_on: tuple[Stops, ...] = Field(
        ("purchase", "emptied", "unsubscribed", "complained", "replied", "bounced"),
        description="What ends a recovery. A purchase, an unsubscription and a complaint always do.",
    )
    caps: CapWords = Field(default_factory=CapWords, description="How much a person gets at most.")
    quiet: DayPart | None = Field(None, description="No message in this part of the day where the person lives.")
    on: On = Field(default_factory=On, description="Days and hours at which this policy writes.")
    closes_after: Span = Field(
        timedelta(days=7),
        description="How long a recovery stays open for a purchase after its last step was due.",
    )
    on_unknown_open: UnknownOpen = Field(
        "wait_click",
        description="For `unless: {remind: [opened]}`, when machines at most opened `remind`: `wait_click` waits twice "
        "as long again as lies between the two steps, and goes if there was neither a click nor a visit to the shop; "
        "`treat_unopened` goes at once; `treat_opened` leaves the step out.",
    )
    segments: int = Field(
        3, ge=1, le=10, description="Most parts that a text may take; each is paid for. Longer names are shortened."
    )
    steps: tuple[Step, ...] = Field(min_length=1, description="The ladder. Sorted by `after`.")


class RuleFile(PolicyWords):
    """One rule file as it is written: what it extends comes first."""

    extends: str = Field(
        "", description="A preset to start from: `default`, `fashion`, `electronics` or `subscription`."
    )
    without: tuple[str, ...] = Field((), description="Steps of the preset that this policy does not take.")


class Policy(PolicyWords):
    """A policy as it decides: merged, sorted, with its name. Equal ones have equal hashes."""

    name: str
    gone: tuple[str, ...] = ()
    """Steps that the newest file no longer has: not taken any more."""

    @cached_property
    def hash(self) -> str:
        """Of the canonical JSON: 16 hex digits."""
        return hashlib.sha256(self.to_json().encode()).hexdigest()[:16]

    def to_json(self) -> str:
        """Canonical: the same policy gives the same text."""
        return json.dumps(self.model_dump(mode="json", exclude={"gone"}), sort_keys=True, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str | Mapping[str, Any]) -> Self:
        """A policy as it was stored; the text, or what was read from it. Words that this version no longer knows are
        left out: recoveries that began with them go on. Raises ValidationError for anything else that is wrong."""
        body = json.loads(text if isinstance(text, str) else json.dumps(dict(text)))
        try:
            return cls.model_validate(body)
        except ValidationError as error:
            for mistake in error.errors():
                if mistake["type"] == "extra_forbidden":
                    _leave_out(body, mistake["loc"])
            return cls.model_validate(body)

    def step(self, name: str) -> Step | None:
        return next((step for step in self.steps if step.name == name), None)

    @property
    def ladder(self) -> tuple[Step, ...]:
        """The steps that the newest file still has, in order."""
        return tuple(step for step in self.steps if step.name not in self.gone)

    @property
    def profile(self) -> Law:
        """The country profile to decide by: the strictest where none is named, as in a rehearsal."""
        return self.legal or "de"

    def under(self, legal: Law | None) -> Policy:
        """With the law of a shop, where it names none itself."""
        return self if self.legal or legal is None else self.altered(legal=legal)

    def altered(self, **words: Any) -> Policy:
        """Another policy with these words instead, and a hash of its own."""
        return Policy.model_construct(**{**dict(self), **words})

    def stops_at(self, fact: str) -> bool:
        return fact in ALWAYS_STOPS or fact in self.stops_on


def _leave_out(body: Any, place: Sequence[int | str]) -> None:
    for key in place[:-1]:
        body = body[key]
    del body[place[-1]]


def with_newest(began: Policy, newest: Policy | None) -> Policy:
    """Steps, order, delays and conditions it began with; law, caps, hours, stops and never-write lists of today.

    Steps that the newest no longer has are in `gone`; all of them where the file is no longer there.
    """
    if newest is None:
        return began.altered(gone=tuple(step.name for step in began.steps))
    today = {"never": newest.starts.never, "existing_customers_only": newest.starts.existing_customers_only}
    return began.altered(
        legal=newest.legal,
        stops_on=newest.stops_on,
        caps=newest.caps,
        quiet=newest.quiet,
        on=newest.on,
        starts=began.starts.model_copy(update=today),
        gone=tuple(step.name for step in began.steps if newest.step(step.name) is None),
    )
