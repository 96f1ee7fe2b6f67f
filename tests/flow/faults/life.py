"""One life of the small world: what shop, customers, two workers and a relay do, and what must hold after it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from channels.base import Outcome
from daemon.shops.base import ConsentHint, Customer
from tests.flow.faults.model import Basket, Model, Somebody
from tests.flow.faults.small_world import Claimed, World, confirmed

START = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
MINUTE = timedelta(seconds=60)
TAKEN = ("sending", "accepted", "unknown")
OUTCOMES: Mapping[str, Outcome] = {
    "taken": Outcome("accepted", "2.0.0"),
    "taken, no answer": Outcome("unknown", code="no answer"),
    "lost, no answer": Outcome("unknown", code="no answer"),
    "busy": Outcome("retry_wait", code="4.3.2", again_after=timedelta(0)),
    "refused": Outcome("failed", code="5.2.2"),
    "barred": Outcome("failed", code="5.1.1", suppress=True),
    "withheld": Outcome("retry_wait", code="not_sent", costs_a_try=False),
}


class Life:
    """Three customers and three guests; two workers, of which one may die; a relay that does what it likes."""

    def __init__(self, world: World, loop: asyncio.AbstractEventLoop) -> None:
        self.world = world
        self.loop = loop
        self.model = Model(START)
        self.held: list[tuple[Claimed, int]] = []
        """Claimed, not yet handed to the relay; with the worker."""
        self.answers: list[tuple[Claimed, int, str]] = []
        """The relay has spoken, the worker has not recorded it yet."""
        self.late: list[tuple[Claimed, str]] = []
        """Answers that dead workers would have recorded."""
        self.accepted: list[Claimed] = []
        self.orders = 0
        self.pieces: dict[str, int] = {}
        self.run(self.world.begins(START))

    def run(self, doing: Any) -> Any:
        return self.loop.run_until_complete(doing)

    def can(self, what: str) -> bool:
        """Whether there is anything to do it with."""
        needs = {
            "the_relay_is_asked": self.held,
            "an_answer_is_recorded": self.answers,
            "a_worker_dies": self.held or self.answers,
            "a_frozen_worker_wakes_up": self.late,
            "a_reader_unsubscribes": self.accepted,
        }
        return bool(needs.get(what, True))

    def who(self, kind: str, number: int) -> tuple[Somebody, str]:
        """The person of a customer or of a guest, and the cart they use; born on first sight."""
        key, address = f"{kind}{number}", f"{kind}{number}@example.org"
        if key not in self.model.people:
            self.model.people[key] = Somebody(address)
        return self.model.people[key], f"cart-{key}"

    def customer(self, kind: str, number: int, *consents: ConsentHint) -> Customer:
        known, guest = self.who(kind, number)[0], kind == "g"
        address = f"g{number}@example.org" if guest else known.address
        return Customer("" if guest else f"k{number}", address, is_guest=guest, consents=consents)

    def a_cart_changes(self, kind: str, number: int, pieces: int, agrees: bool = True) -> None:
        who, ref = self.who(kind, number)
        agrees = agrees and who.consent == ""
        basket = who.baskets.get(ref)
        who.steady = who.steady and not who.baskets and not who.bought
        self.run(self.world.cart(ref, self.customer(kind, number, *(confirmed() if agrees else ())), pieces))
        who.consent = "confirmed" if agrees else who.consent
        if basket is None or not basket.full:
            who.baskets[ref] = Basket(self.model.now, self.model.now)
            self.pieces[ref] = pieces
        elif self.pieces[ref] != pieces:
            basket.changed = self.model.now
            self.pieces[ref] = pieces

    def a_cart_is_emptied(self, kind: str, number: int) -> None:
        who, ref = self.who(kind, number)
        self.run(self.world.cart(ref, self.customer(kind, number), 0))
        who.steady = False
        if ref in who.baskets:
            who.baskets[ref].full = False
            self.pieces[ref] = 0

    def an_order_arrives(self, kind: str, number: int) -> None:
        """At once or late, with the cart's number or without."""
        who, ref = self.who(kind, number)
        self.orders += 1
        linked, late = self.orders % 2 == 0, (0, 40, 0, 700)[self.orders % 4]
        placed = self.model.now - timedelta(minutes=late)
        self.run(self.world.order(self.orders, self.customer(kind, number), placed, ref if linked else ""))
        who.bought.append(placed)
        who.steady = False
        if linked and ref in who.baskets:
            who.baskets[ref].full = False
            self.pieces[ref] = 0

    def somebody_is_in_the_shop(self, kind: str, number: int) -> None:
        who, ref = self.who(kind, number)
        pieces = self.pieces.get(ref, 0)
        if pieces:
            self.run(self.world.cart(ref, self.customer(kind, number), pieces, online=True))
            who.active, who.steady = self.model.now, False

    def consent_is_withdrawn(self, kind: str, number: int) -> None:
        who, _ = self.who(kind, number)
        self.run(self.world.says(self.customer(kind, number, ConsentHint("email_mkt", "withdrawn"))))
        who.consent, who.steady = "withdrawn", False

    def a_guest_turns_out_to_be_a_customer(self, number: int) -> None:
        account, guest = self.who("k", number)[0], self.who("g", number)[0]
        if account is guest:
            return
        account.address = guest.address
        self.run(self.world.says(self.customer("k", number)))
        account.swallows(guest)
        self.model.people[f"g{number}"] = account

    def a_reader_unsubscribes(self, number: int) -> None:
        one = self.accepted[number % len(self.accepted)]
        who = self.model.owner(one.cart)
        self.run(self.world.opts_out(one.message))
        self.model.suppressed.add(who.address)
        who.consent = "withdrawn" if who.consent else ""
        who.steady = False

    def an_address_is_suppressed(self, kind: str, number: int) -> None:
        who, _ = self.who(kind, number)
        self.run(self.world.suppresses(who.address))
        self.model.suppressed.add(who.address)
        who.steady = False

    def the_brake_is_pulled_or_let_go(self) -> None:
        self.model.paused = not self.model.paused
        self.run(self.world.brakes(on=self.model.paused))
        self.model.resumed = self.model.now

    def time_passes(self, minutes: int, planned: bool) -> None:
        """Whoever holds a message for longer than the thirty seconds to the final dot drops it."""
        self.record([(one, "withheld") for one, _ in self.held])
        self.held.clear()
        self.model.now += timedelta(minutes=minutes)
        self.run(self.world.turns_to(self.model.now))
        if planned:
            self.run(self.world.plans())

    def the_planner_is_at_work(self) -> None:
        self.run(self.world.plans())

    def the_sweep_comes_by(self) -> None:
        self.run(self.world.sweeps())

    def a_worker_claims(self, worker: int, most: int) -> None:
        self.claim(worker, most)

    def a_worker_delivers(self, worker: int, fates: list[str], told: bool) -> None:
        self.claim(worker, len(fates))
        for fate in fates[: len(self.held)]:
            self.hand_over(len(self.held) - 1, fate)
        while told and self.answers:
            one, _, fate = self.answers.pop()
            self.record([(one, fate)])

    def the_relay_is_asked(self, number: int, fate: str) -> None:
        self.hand_over(number % len(self.held), fate)

    def an_answer_is_recorded(self, number: int) -> None:
        one, _, fate = self.answers.pop(number % len(self.answers))
        self.record([(one, fate)])

    def a_worker_dies(self, worker: int) -> None:
        """What it held is unknown once its lease is over, whatever the relay did with it."""
        dead = [one for one, whose in self.held if whose == worker]
        self.late += [(one, fate) for one, whose, fate in self.answers if whose == worker]
        dead += [one for one, whose, _ in self.answers if whose == worker]
        self.held = [(one, whose) for one, whose in self.held if whose != worker]
        self.answers = [answer for answer in self.answers if answer[1] != worker]
        reaped = self.run(self.world.reaps(dead))
        assert sorted(reaped) == sorted(one.message for one in dead)
        for one in dead:
            self.model.spent.add((one.cart, one.step))

    def a_frozen_worker_wakes_up(self) -> None:
        """Its answers come late. What the relay took becomes accepted; a late `busy` has nothing sent again."""
        for one, fate in self.late:
            self.record([(one, fate)], late=True)
        self.late.clear()

    def everything_due_is_done(self) -> None:
        """A relay that takes all; afterwards nothing that the model asks for is left."""
        self.finish()
        self.run(self.world.sweeps())
        while True:
            self.run(self.world.plans())
            if not self.claim(0, 64):
                break
            self.finish()
        assert self.model.expected() == set()
        assert self.run(self.world.contradictions(MINUTE)) == []

    def finish(self) -> None:
        while self.held:
            self.hand_over(0, "taken")
        for one, _, fate in self.answers:
            self.record([(one, fate)])
        self.answers.clear()

    def claim(self, worker: int, most: int) -> int:
        """How many were at the gate. Each that it let through is held against the model."""
        at_the_gate, claims = self.run(self.world.claims(most))
        for one in claims:
            model, key = self.model, (one.cart, one.step)
            assert model.objection(*key) == "", f"{key} was claimed: {model.objection(*key)}"
            assert one.grounded
            assert model.relayed[one.recovery, one.step] == 0, f"{key} was claimed again"
            model.owner(one.cart).counted[one.message] = model.now
            self.held.append((one, worker))
        return at_the_gate

    def hand_over(self, number: int, fate: str) -> None:
        one, worker = self.held.pop(number)
        model = self.model
        who = model.owner(one.cart)
        wanted = self.run(self.world.still_wanted(one))
        if model.forbidden(who, who.baskets[one.cart]) in ("bought", "suppressed", "withdrawn"):
            assert not wanted, "it was handed over after what forbids it was committed"
        assert wanted or not who.steady
        fate = fate if wanted else "withheld"
        if fate.startswith("taken"):
            model.relayed[one.recovery, one.step] += 1
        self.answers.append((one, worker, fate))

    def record(self, told: list[tuple[Claimed, str]], *, late: bool = False) -> None:
        if not told:
            return
        self.run(self.world.records([(one, OUTCOMES[fate]) for one, fate in told]))
        for one, fate in told:
            self.note(one, fate, late=late)

    def note(self, one: Claimed, fate: str, *, late: bool) -> None:
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

    def nothing_was_sent_twice_or_lost(self) -> None:
        """The relay's own count beside the books."""
        assert all(count == 1 for count in self.model.relayed.values() if count)
        states = self.run(self.world.states())
        for key, count in self.model.relayed.items():
            assert not count or states[key] in TAKEN, f"{key} was taken, and is {states[key]}"
        recorded = {(one.recovery, one.step) for one in self.accepted}
        assert recorded == {key for key, state in states.items() if state == "accepted"}

    def the_books_are_clean(self) -> None:
        assert self.run(self.world.contradictions()) == []
