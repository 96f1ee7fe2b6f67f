"""`tillbell why` and `tillbell status`: what happened and what holds now."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from rich.console import Console

from daemon.cli.desk import AsJson, ShopName, console, desk, print_json
from daemon.cli.exits import FINDINGS, FINE
from daemon.cli.tale import tell
from daemon.doctor.signs import roughly
from daemon.flow import reputation
from daemon.flow.mailbox import stepped_over
from daemon.store import allowances, brake, inbox, instance, members, messages, shops, story, survey, work
from daemon.store.story import Story

Noun = Annotated[
    Literal["cart", "person", "message"] | None, Parameter(name="--as", help="What WORD is, where it could be several.")
]
Full = Annotated[bool, Parameter(negative="", help="Every question with its answer, not only the deciding one.")]

INSIDE: Mapping[str, tuple[str, ...]] = {
    "attempts": ("fence", "started_at", "outcome", "code", "error"),
    "suppressions": ("channel", "reason", "source", "since"),
    "consents": ("purpose", "state", "at", "source", "evidence"),
    "orders": ("ref", "placed_at", "standing"),
    "audiences": ("audience", "since", "until", "control", "ended_at", "end_reason", "actual"),
}


async def why(
    word: str, /, *, noun: Noun = None, shop: ShopName = None, full: Full = False, as_json: AsJson = False
) -> int:
    """The whole story of a cart, a person or a message: every message and every silence, with rule and facts.

    Parameters
    ----------
    word
        The shop's cart reference, a customer reference or e-mail address, or one of our numbers with `--as`.
    """
    async with desk() as at:
        found = await story.find(at.pool, list(at.only(shop).values()), noun or "", word)
        told = [await story.tell(at.pool, one) for one in found]
        names = {number: name for name, number in at.ids.items()}
    if as_json:
        print_json([_plain(one, names[where.shop_id]) for one, where in zip(told, found, strict=True)])
    elif not told:
        console().print(f'nothing is known of "{word}"; --as cart, person or message says what it is')
    else:
        for one, where in zip(told, found, strict=True):
            tell(console(), one, names[where.shop_id], full=full)
        console().print("\nTimes are in UTC.")
    return FINE if told else FINDINGS


def _named(row: story.Row) -> dict[str, Any]:
    """With names for the rows inside of it too."""
    return {
        key: [dict(zip(INSIDE[key], one, strict=True)) for one in value] if key in INSIDE else value
        for key, value in row.items()
    }


def _plain(told: Story, shop: str) -> dict[str, Any]:
    return {
        "shop": shop,
        "person": _named(told.person) if told.person else None,
        **{
            name: [_named(row) for row in getattr(told, name)]
            for name in ("carts", "recoveries", "decisions", "messages", "events")
        },
    }


def _each(sizes: Mapping[str, Sequence[members.Size]]) -> Iterator[tuple[str, members.Size]]:
    return ((name, row) for name, rows in sizes.items() for row in rows)


def _stepped_over(rows: Sequence[work.Status]) -> list[str]:
    return [text for row in rows if row.name == "mailbox" for text in stepped_over(row.state)]


def _at(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M}"


async def status(*, as_json: AsJson = False) -> int:
    """What runs, what is paused, what rests, when each shop was last heard of. Exit 1 if anything is amiss."""
    async with desk() as at:
        pauses = await brake.pauses(at.pool, at.now)
        beats = await shops.beats(at.pool)
        stills = await instance.standstills(at.pool, at.now - timedelta(days=7))
        rests = {name: await messages.resting(at.pool, number) for name, number in at.ids.items()}
        works = {name: await work.status(at.pool, number) for name, number in at.ids.items()}
        held = {name: await allowances.held(at.pool, number) for name, number in at.ids.items()}
        sizes = {name: await members.sizes(at.pool, number) for name, number in at.ids.items()}
        left = await survey.left_behind(at.pool)
        waiting = {name: await inbox.count_unread(at.pool, number) for name, number in at.ids.items()}
        warned = {name: await reputation.warnings(at.pool, number, at.now) for name, number in at.ids.items()}
    problems = [
        f"shop {name}: {row.name}: {row.problem}" for name, rows in works.items() for row in rows if row.problem
    ]
    problems += [f"shop {name}: mailbox: {text}" for name, rows in works.items() for text in _stepped_over(rows)]
    problems += [
        f"shop {name}: {channel} rests: {reason}" for name, row in rests.items() for channel, reason in row.items()
    ]
    problems += [f"shop {name}: {text}" for name, found in warned.items() for text, _ in found]
    problems += [f"shop {name}: audience {row.audience}: {row.problem}" for name, row in _each(sizes) if row.problem]
    problems += [f"process {beat.process}: {beat.held}" for beat in beats if beat.held]
    problems += [f"shop {one.shop}: {one.reason}" for one in stills if one.lifted_at is None]
    problems += [f"{one}; {one.hint}" for one in left]
    if as_json:
        print_json(
            {
                "now": at.now,
                "processes": [asdict(beat) for beat in beats],
                "standstills": [asdict(one) for one in stills],
                "paused": [asdict(pause) for pause in pauses],
                "resting": rests,
                "held": {name: [asdict(row) for row in rows] for name, rows in held.items()},
                "works": {name: [asdict(row) for row in rows] for name, rows in works.items()},
                "audiences": {name: [asdict(row) for row in rows] for name, rows in sizes.items()},
                "unread_replies": waiting,
                "problems": problems,
            }
        )
        return FINDINGS if problems else FINE
    _status(console(), at.now, beats, pauses, problems)
    for one in stills:
        if one.lifted_at is not None:
            console().print(f"shop {one.shop}: {_at(one.since)} to {_at(one.lifted_at)}: {one.reason}")
    _held(console(), held)
    for name, size in _each(sizes):
        told = f"{size.wanted} wanted, {size.actual} in it, {size.unsure + size.leaving} on their way"
        console().print(f"shop {name}: audience {size.audience}: {told}")
    for name, rows in works.items():
        for row in rows:
            if row.name == "poll" and row.silent_for is not None:
                console().print(f"shop {name}: looked at {roughly(row.silent_for)} ago")
    for name, number in waiting.items():
        if number:
            console().print(f"shop {name}: replies that nobody has read: {number} (`tillbell replies list`)")
    return FINDINGS if problems else FINE


def _status(
    out: Console, now: datetime, beats: Sequence[shops.Beat], pauses: Sequence[brake.Pause], problems: Sequence[str]
) -> None:
    out.print(f"shop time {_at(now)} UTC")
    for beat in beats:
        heard = f"heard of {roughly(beat.silent_for)} ago"
        out.print(f"process {beat.process} ({beat.kind}, {beat.version}): {heard}")
    if not beats:
        out.print("no process runs")
    for pause in pauses:
        what = [f"{word} {value}" for word in ("policy", "step", "channel") if (value := getattr(pause, word))]
        until = f"until {_at(pause.until)}" if pause.until else "until resumed"
        scope = ", ".join([f"shop {pause.shop}", *what])
        out.print(f"paused: {scope}: {pause.reason} (since {_at(pause.since)}, {until})")
    for problem in problems:
        out.print(problem)


def _held(out: Console, found: Mapping[str, Sequence[allowances.Held]]) -> None:
    """What waits for room, and nobody's fault."""
    for name, rows in found.items():
        for row in rows:
            soon = roughly(max(timedelta(), row.next_in))
            out.print(f"shop {name}: {row.channel}: {row.messages} {row.reason}; the next in {soon}")
