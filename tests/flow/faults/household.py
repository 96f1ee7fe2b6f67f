"""Six people of the small world and the model of them: what they do goes to the shop, and what may follow is kept."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from daemon.shops.base import ConsentHint, Customer
from tests.flow.faults.model import Basket, Model, Somebody
from tests.flow.faults.small_world import Claimed, News, bought, confirmed, shown

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


class Household:
    """Three customers and three guests, of whom nobody is anybody of another household."""

    def __init__(self, number: int) -> None:
        self.number = number
        self.model = Model(START)
        self.accepted: list[Claimed] = []
        """What the relay took and a worker recorded."""
        self.orders = 0
        self.pieces: dict[str, int] = {}

    def can(self, what: str) -> bool:
        """Whether there is anything to do it with."""
        return what != "a_reader_unsubscribes" or bool(self.accepted)

    def who(self, kind: str, number: int) -> tuple[Somebody, str]:
        """The person of a customer or of a guest, and the cart they use; born on first sight."""
        key = f"{kind}{number}"
        if key not in self.model.people:
            self.model.people[key] = Somebody(self.address(key))
        return self.model.people[key], f"cart-{self.number}-{key}"

    def address(self, key: str) -> str:
        return f"{key}.{self.number}@example.org"

    def customer(self, kind: str, number: int, *consents: ConsentHint) -> Customer:
        known, guest = self.who(kind, number)[0], kind == "g"
        address = self.address(f"g{number}") if guest else known.address
        return Customer("" if guest else f"k{number}.{self.number}", address, is_guest=guest, consents=consents)

    def a_cart_changes(self, news: News, kind: str, number: int, pieces: int, agrees: bool = True) -> None:
        who, ref = self.who(kind, number)
        agrees = agrees and who.consent == ""
        basket = who.baskets.get(ref)
        who.steady = who.steady and not who.baskets and not who.bought
        news.carts.append(shown(ref, self.customer(kind, number, *(confirmed() if agrees else ())), pieces))
        who.consent = "confirmed" if agrees else who.consent
        if basket is None or not basket.full:
            who.baskets[ref] = Basket(self.model.now, self.model.now)
            self.pieces[ref] = pieces
        elif self.pieces[ref] != pieces:
            basket.changed = self.model.now
            self.pieces[ref] = pieces

    def a_cart_is_emptied(self, news: News, kind: str, number: int) -> None:
        who, ref = self.who(kind, number)
        news.carts.append(shown(ref, self.customer(kind, number), 0))
        who.steady = False
        if ref in who.baskets:
            who.baskets[ref].full = False
            self.pieces[ref] = 0

    def an_order_arrives(self, news: News, kind: str, number: int) -> None:
        """At once or late, with the cart's number or without."""
        who, ref = self.who(kind, number)
        self.orders += 1
        linked, late = self.orders % 2 == 0, (0, 40, 0, 700)[self.orders % 4]
        placed = self.model.now - timedelta(minutes=late)
        name = f"o{self.number}.{self.orders}"
        news.orders.append(bought(name, self.customer(kind, number), placed, ref if linked else ""))
        who.bought.append(placed)
        who.steady = False
        if linked and ref in who.baskets:
            who.baskets[ref].full = False
            self.pieces[ref] = 0

    def somebody_is_in_the_shop(self, news: News, kind: str, number: int) -> None:
        who, ref = self.who(kind, number)
        if pieces := self.pieces.get(ref, 0):
            news.carts.append(shown(ref, self.customer(kind, number), pieces, self.model.now))
            who.active, who.steady = self.model.now, False

    def consent_is_withdrawn(self, news: News, kind: str, number: int) -> None:
        who, _ = self.who(kind, number)
        news.customers.append(self.customer(kind, number, ConsentHint("email_mkt", "withdrawn")))
        who.consent, who.steady = "withdrawn", False

    def a_guest_turns_out_to_be_a_customer(self, news: News, number: int) -> None:
        account, guest = self.who("k", number)[0], self.who("g", number)[0]
        if account is guest:
            return
        account.address = guest.address
        news.customers.append(self.customer("k", number))
        account.swallows(guest)
        self.model.people[f"g{number}"] = account

    def a_reader_unsubscribes(self, news: News, number: int) -> None:
        """Of one of the mails that they got."""
        one = self.accepted[number % len(self.accepted)]
        who = self.model.owner(one.cart)
        news.opted_out.append(one.message)
        self.model.suppressed.add(who.address)
        who.consent = "withdrawn" if who.consent else ""
        who.steady = False

    def an_address_is_suppressed(self, news: News, kind: str, number: int) -> None:
        who, _ = self.who(kind, number)
        news.suppressed.append(who.address)
        self.model.suppressed.add(who.address)
        who.steady = False

    def passes(self, one: Claimed) -> None:
        """It was claimed. The gate's word is held against the model."""
        model, key = self.model, (one.cart, one.step)
        assert model.objection(*key) == "", f"{key} was claimed: {model.objection(*key)}"
        assert one.grounded
        assert model.relayed[one.recovery, one.step] == 0, f"{key} was claimed again"
        model.owner(one.cart).counted[one.message] = model.now

    def leaves(self, one: Claimed, fate: str, *, wanted: bool) -> str:
        """What becomes of it at the relay, where the last look was `wanted`. The look is held against the model."""
        model = self.model
        who = model.owner(one.cart)
        if model.forbidden(who, who.baskets[one.cart]) in ("bought", "suppressed", "withdrawn"):
            assert not wanted, "it was handed over after what forbids it was committed"
        assert wanted or not who.steady
        fate = fate if wanted else "withheld"
        if fate.startswith("taken"):
            model.relayed[one.recovery, one.step] += 1
        return fate

    def learns(self, one: Claimed, fate: str, *, late: bool) -> None:
        """A worker has recorded what became of it. `late`: after its lease."""
        model = self.model
        who = model.owner(one.cart)
        if fate == "taken":
            self.accepted.append(one)
        if fate in ("refused", "barred") or (fate in ("busy", "withheld") and not late):
            who.counted.pop(one.message, None)
        if fate == "barred":
            model.suppressed.add(who.address)
            who.steady = False
        if fate == "busy" and not late:
            model.tries[one.cart, one.step] += 1
        elif fate != "withheld":
            model.spent.add((one.cart, one.step))
