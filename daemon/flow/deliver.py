"""Steps 6 to 8: claimed at the gate under the persons' locks, sent without a transaction, recorded by fence."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import structlog

from channels import points
from channels.base import Channel, Message, Nothing, Outcome
from daemon.batcher import Batcher
from daemon.clock import monotonic
from daemon.context import Context
from daemon.flow import allowances, budgets, outcomes, policies, pushes, regain, shop_orders
from daemon.flow.pace import Pace, pace_of
from daemon.flow.writers import WRITERS
from daemon.logs import told
from daemon.mail import MailError
from daemon.store import clock, decisions, facts, messages, shops
from daemon.store.database import Connection, Unanswered, again, is_transient
from daemon.store.decisions import Note
from daemon.store.facts import Case
from daemon.store.messages import AtGate, Claim, Move
from rules.facts import Basis, Cancel, Defer, Go, Planned
from rules.gate import passage

log = structlog.get_logger()

MOST = 64
"""A claim takes what can leave now: two a ready connection, and never more than this."""
MARGIN = timedelta(seconds=15)
"""Machine time that a lease outlasts the channel's longest call: then the reaper calls the message unknown."""
FRESH = 0.05
"""Seconds for which the last look holds; after a longer wait for it, it is had again."""
LOOKS = 3
AGAIN = 0.5
"""Seconds until an outcome is written again when the database was away."""
GATE_HOLDS = timedelta(seconds=10)
"""Machine time since the gate after which a claim whose COMMIT was not answered does not leave any more."""
STALE = timedelta(hours=1)
"""Content prepared longer ago than this is prepared again."""


@dataclass(slots=True)
class Delivery:
    """One shop's messages on one channel, as this process sends them."""

    context: Context
    shop_id: int
    channel: Channel
    recorder: Batcher[tuple[Message, Outcome], None]
    rechecker: Batcher[Message, tuple[bool, float]]
    """Whether it may still leave, and since when that has been known (machine time)."""
    under_way: set[asyncio.Task[None]]
    queued: set[int] = field(default_factory=set)
    """Fences of what was handed over and has no connection yet."""
    pace: Pace | None = None
    """What the relay's rate leaves to this process."""
    places: dict[int, float] = field(default_factory=dict)
    """When a claimed message's place in its provider's line comes (machine time), by its id."""

    async def may_leave(self, message: Message) -> bool:
        """The last look, right before the first byte and before the last: many ask, one query answers."""
        self.queued.discard(message.fence)
        if self.pace is None or message.fence in self.pace.taken:
            if self.pace is not None:
                self.pace.answered(message.fence)
            return (await self._look(message))[0]
        turn = self.pace.turn(message.fence)
        try:
            while True:
                wanted, known_at = await self._look(message)
                left = known_at + FRESH - monotonic()
                if not wanted or turn.done() or (await asyncio.wait([turn], timeout=max(left, 0.001)))[0]:
                    break
        except BaseException:
            self.pace.spare(message.fence)
            raise
        (self.pace.begins if wanted else self.pace.spare)(message.fence)
        return wanted

    async def _look(self, message: Message) -> tuple[bool, float]:
        """Whether it may leave, and since when that has been known (machine time): not long ago, if possible."""
        for _ in range(LOOKS):
            if self.context.stopping.is_set():
                return False, monotonic()
            wanted, asked_at = await self.rechecker.submit(message)
            if not wanted or monotonic() - asked_at <= FRESH:
                break
        return wanted, asked_at  # the database is too slow for more: what it said last counts

    def report(self, message: Message, outcome: Outcome) -> None:
        """Every outcome is recorded; a lost one would end as unknown by the reaper."""
        points.reached("outcome_known")
        self.queued.discard(message.fence)
        if self.pace is not None:
            self.pace.used(message.fence, accepted=outcome.state == "accepted")
        task = asyncio.create_task(self.record(message, outcome))
        self.under_way.add(task)
        task.add_done_callback(self.under_way.discard)

    async def record(self, message: Message, outcome: Outcome) -> None:
        """A database that is away is waited for as long as the claim may be ours; then the reaper has had its word."""
        until = monotonic() + (self.channel.longest() + MARGIN).total_seconds()
        while True:
            try:
                await self.recorder.submit((message, outcome))
                return
            except Exception as error:
                log.error("recorded", message=message.id, problem=told(error))
                self.context.trouble(error)
                if not is_transient(error) or monotonic() > until:
                    return
            await asyncio.sleep(AGAIN)

    def room(self) -> int:
        """How many more may be claimed now."""
        found = min(MOST, 2 * self.channel.ready() - len(self.queued))
        return found if self.pace is None or found <= 0 else self.pace.room(self.shop_id, found)


def delivery(context: Context, shop_id: int, channel: Channel) -> Delivery:
    """The one of this process, shop and channel."""
    known = context.deliveries.get((shop_id, channel.name))
    if isinstance(known, Delivery):
        return known

    async def recheck(asked: Sequence[Message]) -> list[tuple[bool, float]]:
        asked_at = monotonic()
        wanted = await messages.still_wanted(context.pool, shop_id, [(one.id, one.fence) for one in asked])
        return [(one.id in wanted, asked_at) for one in asked]

    async def record(group: Sequence[tuple[Message, Outcome]]) -> list[None]:
        await outcomes.write(context, shop_id, channel.name, group)
        return [None] * len(group)

    made = Delivery(context, shop_id, channel, Batcher("record", record), Batcher("recheck", recheck, group=200), set())
    made.pace = pace_of(context, channel.name)
    context.deliveries[shop_id, channel.name] = made
    return made


async def due_messages(context: Context, shop_id: int, now: datetime) -> int:
    """Claim and hand over until nothing is due or nothing more can leave; how many were at the gate.
    What has been handed over goes on by itself and is recorded as it ends."""
    gated = 0
    if not await context.may_claim() or await _waits_for_journals(context):
        return 0
    for name in await messages.waiting(context.pool, shop_id, list(context.channels), now):
        sender = delivery(context, shop_id, context.channels[name])
        while not context.stopping.is_set() and (room := sender.room()) > 0:
            found, claims = await claim(context, shop_id, name, now, room)
            gated += found
            _hand_over(sender, claims)
            if found < room:
                break  # whoever was held by somebody else meanwhile is found by the next round
            await asyncio.sleep(0)  # lets the channel take what it was handed before its room is asked for again
    return gated


async def _waits_for_journals(context: Context) -> bool:
    """After PostgreSQL was away, opt-outs may still be on the disks of web processes: they come first."""
    if context.cut_off:
        context.back_since, context.cut_off = await clock.machine_now(context.pool), False
    waiting = await shops.journals_waiting(context.pool, context.back_since)
    if waiting:
        log.info("claimed", messages=0, held=f"{waiting} web processes have not emptied their journals")
    return waiting > 0


async def claim(
    context: Context, shop_id: int, channel: str, now: datetime, most: int
) -> tuple[int, list[tuple[Claim, Case]]]:
    """(how many were at the gate, those that may leave now). One transaction: lock the persons, look anew, move.
    Raises ShopUnavailable where messages have to wait for the shop's word on new orders."""
    looked_for = await shop_orders.look(context, shop_id, channel, now, most)
    known = policies.shop_facts(context, shop_id, now)
    plan = allowances.plan_of(context, shop_id, channel)
    sender = delivery(context, shop_id, context.channels[channel])

    async def body(db: Connection) -> tuple[int, list[tuple[Claim, Case]]]:
        candidates = await messages.due_people(db, shop_id, channel, now, most, looked_for)
        waiting = await messages.at_the_gate(db, shop_id, candidates, now) if candidates else []
        if not waiting:
            return 0, []
        cases = await facts.of_recoveries(db, shop_id, [one.recovery_id for one in waiting], known)
        spoken = await policies.of_shop(context, db, shop_id, {case.policy_hash for case in cases.values()})
        moves, notes = gate(waiting, cases, spoken, now)
        await decisions.note(db, shop_id, notes, now)
        if plan is not None:
            moves = await _within_allowances(db, sender, plan, moves, waiting, cases, now)
        moves = await budgets.within(db, context, shop_id, channel, moves, waiting, cases, now)
        claims = await messages.move(db, shop_id, moves, now, sender.channel.longest() + MARGIN)
        points.reached("before_claim_commit")
        return len(waiting), [(one, cases[one.recovery_id]) for one in claims]

    try:
        found, claims = await again(context.pool, body)
    except Unanswered as lost:
        found, claims = await _regained(sender, lost)
    if found:
        points.reached("after_claim_commit")
        log.info("claimed", shop=context.shop_called(shop_id), channel=channel, at_the_gate=found, messages=len(claims))
    return found, claims


async def _within_allowances(
    db: Connection,
    sender: Delivery,
    plan: allowances.Plan,
    moves: Sequence[Move],
    waiting: Sequence[AtGate],
    cases: Mapping[int, Case],
    now: datetime,
) -> list[Move]:
    """The moves that are left to do; those that do not fit rest, and `why` tells of it once."""
    at_gate = {one.id: one for one in waiting}
    addresses = {one.id: _address(sender, cases[one.recovery_id], rehearsal=one.rehearsal) for one in waiting}
    left, waits = await allowances.within(db, sender.shop_id, sender.channel.name, plan, moves, addresses, at_gate, now)
    sender.places.update({one: monotonic() + wait for one, wait in waits.items()})
    rests = [(one, at_gate[one.id]) for one in left if one.verdict == "rest"]
    notes = [_note(one, asked, cases[asked.recovery_id]) for one, asked in rests if one.reason != asked.reason]
    await decisions.note(db, sender.shop_id, notes, now)
    return left


def _note(move: Move, one: AtGate, case: Case) -> Note:
    verdict = "defer" if move.verdict in ("defer", "hold", "rest", "again") else "cancel"
    return Note(one.recovery_id, verdict, one.step, move.reason, case.facts_no, case.policy_hash, move.until)


async def _regained(sender: Delivery, lost: Unanswered) -> tuple[int, list[tuple[Claim, Case]]]:
    """The claims of a COMMIT that nobody answered, those that took effect a moment ago. All others are given back as
    soon as the database can be told; while it is not known, that is all of them."""
    found, made = lost.result
    if not made:
        raise lost
    claims = [one for one, _ in made]
    try:
        least = sender.channel.longest() + MARGIN - GATE_HOLDS
        ours = await regain.committed(sender.context, sender.shop_id, claims, least, lost)
    except Exception:
        _give_back(sender, claims, str(lost))
        raise
    _give_back(sender, [one for one in claims if one.id not in ours], str(lost))
    return found, [(one, case) for one, case in made if one.id in ours]


def _give_back(sender: Delivery, claims: Sequence[Claim], because: str) -> None:
    """No byte of them has left. Recorded by fence, so one that never was committed stays as it is."""
    for one in claims:
        sender.report(_nothing(sender, one), Outcome("retry_wait", code="not_sent", error=because, costs_a_try=False))


def _nothing(sender: Delivery, one: Claim) -> Message:
    return Message(sender.shop_id, one.id, one.fence, "", Nothing())  # never sent


def gate(
    waiting: Sequence[AtGate], cases: dict[int, Case], spoken: policies.Policies, now: datetime
) -> tuple[list[Move], list[Note]]:
    """At most one message of a person goes; the others wait for the next window."""
    moves: list[Move] = []
    notes: list[Note] = []
    gone: set[int] = set()
    for one in waiting:
        if one.person_id in gone:
            continue
        case = cases[one.recovery_id]
        move = _passage(one, case, spoken, now)
        moves.append(move)
        if move.verdict == "go":
            gone.add(one.person_id)
        elif move.verdict != "hold" or move.reason != one.reason:  # the brake is told of once
            notes.append(_note(move, one, case))
    return moves, notes


def _passage(one: AtGate, case: Case, spoken: policies.Policies, now: datetime) -> Move:
    if not case.open:
        return Move(one.id, "cancelled", "the recovery is over")
    if one.of_another_mode:
        return Move(one.id, "cancelled", "the shop has changed between rehearsal and live")
    if one.paused is not None:
        return Move(one.id, "hold", f"paused: {one.paused}")
    basis = Basis(one.basis, one.basis_evidence, one.consent_id)
    planned = Planned(one.step, one.channel, one.not_after, basis, one.deferrals)
    answer = passage(spoken.of(case.policy_name, case.policy_hash), planned, case.facts, now)
    if isinstance(answer, Cancel):
        return Move(one.id, answer.state, answer.reason)
    if isinstance(answer, Defer):
        return Move(one.id, "defer", answer.reason, answer.until, not_after=answer.not_after)
    if one.facts_no != case.facts_no:
        return Move(one.id, "again", "decided on older facts")
    if now - one.prepared_at > STALE:
        return Move(one.id, "again", "prepared too long ago")
    return _go(one, answer)


def _go(one: AtGate, answer: Go) -> Move:
    basis = answer.basis
    return Move(one.id, "go", basis=basis.kind, evidence=basis.evidence, consent_id=basis.consent_id)


def _hand_over(sender: Delivery, claims: Sequence[tuple[Claim, Case]]) -> None:
    """Give them to the channel; whatever cannot even be composed is recorded as failed."""
    handed: list[Message] = []
    for one, case in claims:
        message, outcome = _message(sender, one, case)
        sender.queued.add(one.fence)
        place = sender.places.pop(one.id, None)
        if sender.pace is not None:
            sender.pace.expected.add(one.fence)
        if outcome:
            sender.report(message, outcome)
        elif place is not None:
            _start(sender, _at_its_place(sender, message, place))
        else:
            handed.append(message)
    if handed:
        _start(sender, sender.channel.hand_over(handed, sender.may_leave, sender.report))


async def _at_its_place(sender: Delivery, message: Message, place: float) -> None:
    await asyncio.sleep(place - monotonic())
    await sender.channel.hand_over([message], sender.may_leave, sender.report)


def _start(sender: Delivery, work: Coroutine[Any, Any, None]) -> None:
    task = asyncio.create_task(work)
    sender.under_way.add(task)
    task.add_done_callback(sender.under_way.discard)


def _message(sender: Delivery, one: Claim, case: Case) -> tuple[Message, Outcome | None]:
    """What the channel gets; or what became of it already, as nothing can be made of it."""
    try:
        case = pushes.made_for(sender.context, one, case)
        address = _address(sender, case, rehearsal=one.rehearsal)
        content = WRITERS[sender.channel.name].composed(sender.context, sender.shop_id, one, case)
    except MailError as error:
        return _nothing(sender, one), Outcome("failed", code="content", error=str(error))
    except Exception as error:  # ours: one message's fault must not leave the others claimed by nobody
        log.error("sent", message=one.id, problem=told(error), exc_info=True)
        return _nothing(sender, one), Outcome("retry_wait", code="bug", error=told(error))
    if not address:
        return _nothing(sender, one), Outcome("failed", code="content", error="no address")
    return Message(sender.shop_id, one.id, one.fence, address, content), None


def _address(sender: Delivery, case: Case, *, rehearsal: bool) -> str:
    return WRITERS[sender.channel.name].address(sender.context, sender.shop_id, case, rehearsal=rehearsal)


async def drain(context: Context) -> None:
    """Wait until all that is on the wire has been recorded; `context.stopping` keeps anything new from starting."""
    while tasks := [task for made in context.deliveries.values() for task in made.under_way]:
        await asyncio.wait(tasks)
    for made in context.deliveries.values():
        await made.recorder.close()
        await made.rechecker.close()
    for pace in context.paces.values():
        await pace.close()
