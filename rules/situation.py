"""A cart.json: one made-up recovery, to try a policy on without a shop."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from decimal import Decimal
from typing import Annotated, Literal

from pydantic import AwareDatetime, Field, PlainValidator, ValidationError, WithJsonSchema

from rules import facts
from rules.facts import MessageState
from rules.mistakes import from_validation
from rules.policy import Policy, Reaction, Stage, Stops, Words
from rules.source import Mistake, Unreadable, read
from rules.values import read_amount, read_span

Number = Annotated[
    Decimal, PlainValidator(read_amount), WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string"}]})
]
Purpose = Literal["email_mkt", "sms_mkt", "push_mkt", "track_open", "track_click", "ads_audience"]
Way = Literal["email", "sms", "webpush", "onsite", "audience"]


class LineWords(Words):
    """One line of the cart."""

    product: str = Field(description="The shop's own number of the product.")
    name: str = Field("", description="Name of the product.")
    quantity: Number = Field(Decimal(1), description="Pieces.")
    price: Number | None = Field(None, description="Price of one piece.")
    category: str = Field("", description="Category of the product.")


class CartFileWords(Words):
    """The cart."""

    changed_at: AwareDatetime = Field(description="Its last change, with the offset from UTC.")
    total: Number = Field(description="What it is worth.")
    currency: str = Field("EUR", description="ISO 4217 code.")
    stage: Stage = Field("cart", description="How far the customer came.")
    state: Literal["open", "ordered", "emptied"] = Field("open", description="What became of it.")
    lines: tuple[LineWords, ...] = Field((), description="What lies in it.")


class BoughtWords(Words):
    """An earlier order."""

    ref: str = Field(description="Its number.")
    at: AwareDatetime = Field(description="When it was placed.")


class ConsentWords(Words):
    """The newest word on one purpose."""

    state: Literal["hint", "requested", "confirmed", "withdrawn"] = Field(description="How far it came.")
    at: AwareDatetime = Field(description="Since when.")


class PersonFileWords(Words):
    """The person."""

    email: str = Field("", description="E-mail address; empty: none is known.")
    phone: str = Field("", description="Phone number, with its country code; empty: none is known.")
    push: bool = Field(False, description="A browser of theirs takes web pushes.")
    onsite: bool = Field(
        False, description="A browser of theirs is known, so that notices can wait for them on the site."
    )
    zone: str = Field("", description="Time zone; empty: the shop's counts.")
    region: str = Field("", description="Where goods were last sent to, by ISO 3166-2, like `US-TX`.")
    group: str = Field("", description="Customer group.")
    active_at: AwareDatetime | None = Field(None, description="When they were last seen in the shop.")
    last_bought: BoughtWords | None = Field(None, description="Their last order before this cart.")
    consents: Mapping[Purpose, ConsentWords] = Field(default_factory=dict, description="What they agreed to.")
    suppressed: tuple[Way | Literal["any"], ...] = Field((), description="Channels they are not written to on.")
    fewer: bool = Field(False, description="They asked for fewer messages.")
    resting_until: AwareDatetime | None = Field(None, description="They asked to be left alone until then.")


class TakenWords(Words):
    """A step that already became a message."""

    step: str = Field(description="Name of the step.")
    channel: Way = Field("email", description="Its channel.")
    state: MessageState = Field("accepted", description="What became of the message.")
    at: AwareDatetime = Field(description="When.")
    reactions: tuple[Reaction, ...] = Field((), description="What the person did with it.")
    maybe: tuple[Literal["opened", "clicked"], ...] = Field(
        (), description="What came of it that may be a machine's, like Apple's proxy opening every mail."
    )


class CountedWords(Words):
    """A message of another recovery, for the caps."""

    channel: Way = Field("email", description="Its channel.")
    at: AwareDatetime = Field(description="When it went out.")


class Situation(Words):
    """What `tillbell rules try` reads."""

    cart: CartFileWords = Field(description="The cart.")
    person: PersonFileWords = Field(description="Whose it is.")
    started_at: AwareDatetime | None = Field(
        None, description="Start of the recovery; by default once the cart is at rest."
    )
    taken: tuple[TakenWords, ...] = Field((), description="Steps that already became messages.")
    counted: tuple[CountedWords, ...] = Field((), description="Further messages to the person, for the caps.")
    ended_by: Stops | None = Field(None, description="What has ended the recovery.")
    on_hold: bool = Field(False, description="An order is there whose payment is open.")
    notice_since: AwareDatetime | None = Field(None, description="Since when customers are told that they may object.")
    budget_spent_until: AwareDatetime | None = Field(
        None, description="The shop's budget for texts is used up till then."
    )
    shop_zone: str = Field("UTC", description="Time zone of the shop.")

    def told(self, policy: Policy) -> facts.Facts:
        """As the rules would be told. Messages in `taken` that left count for the caps, too."""
        left = [one for one in self.taken if one.state in facts.COUNTED]
        counted = [facts.Counted(one.channel, one.at) for one in left]
        counted += [facts.Counted(one.channel, one.at) for one in self.counted]
        return facts.Facts(
            cart=self._cart(),
            person=self._person(),
            started_at=self.started_at or self.cart.changed_at + policy.starts.rests_for,
            taken=tuple(
                facts.Taken(one.step, one.channel, one.state, one.at, frozenset(one.reactions), frozenset(one.maybe))
                for one in self.taken
            ),
            counted=tuple(sorted(counted, key=lambda one: one.at, reverse=True)),
            ended_by=self.ended_by or "",
            on_hold=self.on_hold,
            notice_since=self.notice_since,
            shop_zone=self.shop_zone,
            budget=facts.Budget(True, "as the situation says", self.budget_spent_until)
            if self.budget_spent_until
            else None,
        )

    def _cart(self) -> facts.Cart:
        cart = self.cart
        lines = tuple(facts.Line(one.product, one.name, one.quantity, one.price, one.category) for one in cart.lines)
        return facts.Cart(cart.changed_at, cart.total, cart.currency, lines, cart.state, cart.stage)

    def _person(self) -> facts.Person:
        person, bought = self.person, self.person.last_bought
        consents: dict[str, facts.Consent] = {
            purpose: facts.Consent(one.state, no, one.at)
            for no, (purpose, one) in enumerate(person.consents.items(), start=1)
        }
        return facts.Person(
            addresses=_addresses(person),
            suppressed=frozenset(person.suppressed),
            consents=consents,
            last_bought=facts.Bought(bought.ref, bought.at) if bought else None,
            zone=person.zone,
            group=person.group,
            region=person.region,
            active_at=person.active_at,
            fewer=person.fewer,
            resting_until=person.resting_until,
        )


def _addresses(person: PersonFileWords) -> dict[str, str]:
    made_up = {"push": "push" * person.push, "onsite": "onsite" * person.onsite}
    said = {"email": person.email, "phone": person.phone, **made_up}
    return {kind: value for kind, value in said.items() if value}


def read_situation(text: str, file: str) -> Situation | tuple[Mistake, ...]:
    """JSON is read as the YAML that it is, so that mistakes have their place."""
    try:
        tree = read(text, file)
    except Unreadable as error:
        return error.mistakes
    try:
        return Situation.model_validate(tree.plain())
    except ValidationError as error:
        return tuple(sorted(from_validation(error, tree, Situation)))


def instant(text: str, changed_at: datetime) -> datetime:
    """`+26h` after the last change of the cart, or an ISO time; without an offset it has the cart's."""
    if text.startswith("+"):
        return changed_at + read_span(text[1:])
    at = datetime.fromisoformat(text)
    return at if at.tzinfo else at.replace(tzinfo=changed_at.tzinfo)
