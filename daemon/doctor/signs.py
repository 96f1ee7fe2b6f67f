"""The signs of life: what the pulse asks, each question a function over rows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

from daemon import metrics
from daemon.context import Context
from daemon.doctor.lost import lost
from daemon.doctor.post import post
from daemon.doctor.reason import Question, Reason
from daemon.flow.shops import ENDINGS
from daemon.store import brake, clock, instance, members, messages, pulse, survey
from daemon.store.pulse import Behind, Heard, Problem, Waiting
from rules.values import spoken

SILENT = timedelta(seconds=60)
"""A process beats every ten seconds; after this it is missed."""
BEHIND = timedelta(seconds=60)
"""Work that is due is rung for every quarter of a second; after this it is late."""
IN_VAIN = 3
"""So many messages tried in vain make an alarm: one may have a greylisting recipient."""
LATELY = timedelta(days=7)
"""So long a silence that is over is told: as in `tillbell status`."""
FAILURES = 3
"""In a row; one that passes by itself is no news."""
WORKERS, WEBS = ("all", "worker"), ("all", "web")
DOING = {
    "poll": "the look at the shop",
    "inbox": "pushed events",
    "enrol": "carts at rest",
    "react": "reactions",
    "mailbox": "the look at the mailbox",
    "callbacks": "what providers tell",
    "post": "reports and replies",
    "decide": "decisions",
    "prepare": "mails to write",
    "deliver": "mails to send",
    "sweep": "the sweep",
}


async def processes(context: Context, _: datetime) -> list[Reason]:
    """Is every process that was there still there, and is there one to do the work?"""
    beats = await pulse.beats(context.pool)
    gone = missed(beats)
    metrics.processes.clear()
    for kind in ("all", "web", "worker"):
        metrics.processes.labels(kind, "heard").set(sum(one.kind == kind and one.silent_for < SILENT for one in beats))
        metrics.processes.labels(kind, "missed").set(sum(one.kind == kind for one in gone))
    return of_processes(beats, gone)


def missed(beats: Sequence[Heard]) -> list[Heard]:
    """Those that fell silent, unless one of their kind has come since: each newcomer stands in for one."""
    silent = sorted((one for one in beats if one.silent_for >= SILENT), key=lambda one: one.silent_for, reverse=True)
    fresh = [one for one in beats if one.silent_for < SILENT]
    left = []
    for one in silent:
        heir = next((new for new in fresh if new.kind == one.kind and new.up_for <= one.silent_for), None)
        if heir is None:
            left.append(one)
        else:
            fresh.remove(heir)
    return left


def of_processes(beats: Sequence[Heard], gone: Sequence[Heard]) -> list[Reason]:
    hint = "it was killed or hangs: start it again, or wait: after a day it is no longer missed"
    reasons = [
        Reason("process", f"{one.process} ({one.kind}) has not been heard of for {roughly(one.silent_for)}", hint)
        for one in gone
    ]
    heard = [one for one in beats if one.silent_for < SILENT]
    if not any(one.kind in WORKERS for one in heard):
        reasons.append(Reason("worker", "no worker runs, so nothing is decided and nothing sent", "`tillbell run`"))
    reasons += [Reason("held", f"{one.process} ({one.kind}) claims nothing: {one.held}") for one in heard if one.held]
    lines = {one.process: one.journal_lines for one in heard if one.journal_lines}
    metrics.journal_waiting.set(sum(lines.values()))
    reasons += [
        Reason("journal", f"{number} hits wait in the journal of {process}; nothing is sent until they are taken over")
        for process, number in sorted(lines.items())
    ]
    return reasons


async def bell(context: Context, now: datetime) -> list[Reason]:
    """Is what is due done at once? Not asked where shop time is stepped: it jumps."""
    if context.settings.clock == "stepped":
        return []
    found = await pulse.behind(context.pool, [*_names(context)], list(context.channels), now)
    rows = [one for one in found if one.name in ENDINGS or one.shop_id in context.shop_ids.values()]
    metrics.behind.clear()
    for one in rows:
        metrics.behind.labels(one.name).set(one.late.total_seconds())
    return of_the_bell(rows, _names(context))


def of_the_bell(rows: Sequence[Behind], names: Mapping[int, str]) -> list[Reason]:
    return [
        Reason(
            "bell",
            f"shop {names[one.shop_id]}: {DOING.get(one.name, one.name)} ({one.name}) wait for {roughly(one.late)}",
            "the workers are behind, none runs, or the rate of the relay is spent: see `tillbell status`",
        )
        for one in rows
        if one.late > BEHIND
    ]


async def silence(context: Context, now: datetime) -> list[Reason]:
    """The dead man's switch: carts were due, and nothing went out for as long as the setting says."""
    span = context.settings.alarm_after
    if context.settings.clock == "stepped":
        return []
    shops, channels = _shops(context), list(context.channels)
    waiting = await pulse.waiting(context.pool, shops, channels, now - span)
    late = [one for one in await pulse.behind(context.pool, shops, channels, now) if one.late > span]
    stuck: set[tuple[int, str | None]] = {
        (one.shop_id, one.channel) for one in waiting if one.untried or one.in_vain >= IN_VAIN
    }
    stuck |= {(one.shop_id, None) for one in late if one.name in ("inbox", "enrol", "decide", "prepare")}
    quiet = {shop for shop, channel in stuck if not await pulse.accepted_within(context.pool, shop, channel, span)}
    metrics.silent_shops.set(len(quiet))
    return of_silence(quiet, waiting, _names(context), span)


def of_silence(quiet: set[int], waiting: Sequence[Waiting], names: Mapping[int, str], span: timedelta) -> list[Reason]:
    reasons = []
    for shop in sorted(quiet):
        here = [one for one in waiting if one.shop_id == shop]
        untried, in_vain = sum(one.untried for one in here), sum(one.in_vain for one in here)
        mails = f" ({untried} mails not tried, {in_vain} tried in vain)" if untried or in_vain else ""
        text = f"shop {names[shop]}: carts were due and nothing has gone out for {spoken(span)}{mails}"
        reasons.append(Reason("silence", text, "`tillbell status` says what fails or rests"))
    return reasons


async def leases(context: Context, _: datetime) -> list[Reason]:
    """Has the sweep called unknown what a killed worker left?"""
    overdue = await pulse.leases_overdue(context.pool, [*_names(context)])
    metrics.leases_overdue.set(sum(overdue.values()))
    return [
        Reason(
            "lease",
            f"shop {_names(context)[shop]}: {number} mails are claimed by a worker that is gone",
            "the sweep should have called them unknown: does a worker run?",
        )
        for shop, number in overdue.items()
    ]


async def works(context: Context, _: datetime) -> list[Reason]:
    """Does any work fail again and again?"""
    return of_works(await pulse.problems(context.pool, _shops(context), FAILURES))


def of_works(rows: Sequence[Problem]) -> list[Reason]:
    return [
        Reason("work", f"shop {one.shop}: {one.name} has failed {one.failures} times: {one.problem}") for one in rows
    ]


async def rests(context: Context, _: datetime) -> list[Reason]:
    """Does a channel rest because its sender is at fault?"""
    reasons = []
    for name, shop in sorted(context.shop_ids.items()):
        for channel, because in (await messages.resting(context.pool, shop)).items():
            text = f"shop {name}: {channel} rests, the relay turns us away: {because}"
            reasons.append(Reason("rest", text, "mend the sender's account; it is tried again by itself"))
    return reasons


async def pauses(context: Context, now: datetime) -> list[Reason]:
    """What is paused: intended where an operator did it, amiss where tillbell had to; and silences that are over."""
    reasons = []
    for one in await brake.pauses(context.pool, now):
        what = [f"{word} {value}" for word in ("policy", "step", "channel") if (value := getattr(one, word))]
        text = f"{', '.join([f'shop {one.shop}', *what])} is paused: {one.reason}"
        reasons.append(Reason("pause", text, amiss=one.cause != "operator"))
    return reasons + [
        Reason("silence", f"shop {one.shop}: {one.reason}, until {one.lifted_at:%Y-%m-%d %H:%M}", amiss=False)
        for one in await instance.standstills(context.pool, now - LATELY)
        if one.lifted_at is not None
    ]


async def left(context: Context, _: datetime) -> list[Reason]:
    """Is anything open in a shop that was taken out of shops.yaml? Nobody reads it any more, and nothing is sent."""
    return [Reason("left", str(one), one.hint) for one in await survey.left_behind(context.pool)]


async def audiences(context: Context, _: datetime) -> list[Reason]:
    """Does an ad platform take what it is told, and is each audience still reached?"""
    names = _names(context)
    hint = "`tillbell audience list` shows all of them; it is tried again by itself"
    return [
        Reason("audience", f"shop {names[shop]}: audience {name}: {problem}", hint)
        for shop, name, problem in await members.problems(context.pool, list(names))
    ]


async def bookkeeping(context: Context, now: datetime) -> list[Reason]:
    """Do the rows contradict each other? What is under way and new each minute, all the rest once a day."""
    found = await context.books.look(context.pool, now, await clock.machine_now(context.pool))
    metrics.books_violations.clear()
    for one in found:
        metrics.books_violations.labels(one.kind).inc()
    if not found:
        return []
    text = f"the books are not clean: {len(found)} contradictions, the first is {found[0].kind}"
    return [Reason("books", text, "`tillbell books --all` lists them")]


def roughly(span: timedelta) -> str:
    """To the second below ten minutes, to the minute above: a sentence that is read again should not flicker."""
    size = timedelta(seconds=1) if span < timedelta(minutes=10) else timedelta(minutes=1)
    return spoken(span // size * size)


def _shops(context: Context) -> list[int]:
    return sorted(context.shop_ids.values())


def _names(context: Context) -> dict[int, str]:
    """With those that were taken out of shops.yaml."""
    return {number: name for name, number in (context.former | context.shop_ids).items()}


QUESTIONS = (
    Question("process", processes),
    Question("bell", bell),
    Question("silence", silence),
    Question("lease", leases),
    Question("work", works),
    Question("rest", rests),
    Question("pause", pauses),
    Question("left", left),
    Question("post", post, every=60.0),
    Question("lost", lost, every=60.0),
    Question("audience", audiences),
    Question("books", bookkeeping, every=60.0),
)
"""All that is asked of the installation as a whole. One more: a function, here or in its own module, and a line."""
