"""`tillbell why` and `tillbell status`: what happened and what holds now."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from rich.console import Console

from daemon.cli.desk import AsJson, ShopName, console, desk, print_json
from daemon.cli.exits import FINDINGS, FINE
from daemon.store import brake, messages, shops, story, work
from daemon.store.story import Story

Noun = Annotated[
    Literal["cart", "person", "message"] | None, Parameter(name="--as", help="What WORD is, where it could be several.")
]
Full = Annotated[bool, Parameter(negative="", help="Every question with its answer, not only the deciding one.")]


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
        console().print(f'nothing is known of "{word}"; --as cart, person or message says what it is', markup=False)
    else:
        for one, where in zip(told, found, strict=True):
            _tell(console(), one, names[where.shop_id], full=full)
    return FINE if told else FINDINGS


def _plain(told: Story, shop: str) -> dict[str, Any]:
    return {
        "shop": shop,
        "person": dict(told.person) if told.person else None,
        **{
            name: [dict(row) for row in getattr(told, name)]
            for name in ("carts", "recoveries", "decisions", "messages", "events")
        },
    }


def _tell(out: Console, told: Story, shop: str, *, full: bool) -> None:
    if told.person is not None:
        _person(out, told.person, shop)
    for cart in told.carts:
        out.print(
            f"\n[bold]cart {cart['ref']}[/bold] of {shop}: {cart['lines']} lines, {cart['total']} {cart['currency']}"
            f"{' (estimate)' if cart['total_is_estimate'] else ''}, {cart['state']}"
        )
        out.print(f"  {_at(cart['first_seen_at'])}  first seen")
        out.print(f"  {_at(cart['changed_at'])}  last change")
        if cart["answer"] and cart["answer"] != "enrolled":
            out.print(f"  {_at(cart['answered_at'])}  not followed up: {cart['answer'].removeprefix('no: ')}")
        for recovery in (row for row in told.recoveries if row["cart_id"] == cart["id"]):
            _recovery(out, told, recovery, full=full)


def _person(out: Console, person: Mapping[str, Any], shop: str) -> None:
    out.print(f"[bold]person {person['id']}[/bold] of {shop}" + (" (guest)" if person["is_guest"] else ""))
    for channel, reason, source, since in person["suppressions"]:
        out.print(f"  {_at(since)}  not written to on {channel}: {reason} ({source})")
    for purpose, state, at, source, evidence in person["consents"]:
        out.print(f"  {_at(at)}  {purpose} {state} by {source}{': ' + evidence if evidence else ''}", markup=False)
    for ref, placed_at, standing in person["orders"]:
        out.print(f"  {_at(placed_at)}  order {ref}: {standing}", markup=False)


def _recovery(out: Console, told: Story, recovery: Mapping[str, Any], *, full: bool) -> None:
    marks = [word for word in ("held_out", "rehearsal", "crossed") if recovery[word]]
    title = f"  [bold]recovery {recovery['id']}[/bold] by policy {recovery['policy_name']}"
    out.print(title + (f" ({', '.join(marks).replace('_', ' ')})" if marks else ""))
    lines = [(recovery["started_at"], 0, "enrolled")]
    lines += [
        (row["at"], 1, _decision(row, full=full)) for row in told.decisions if row["recovery_id"] == recovery["id"]
    ]
    for row in told.messages:
        if row["recovery_id"] == recovery["id"]:
            lines += _message(row)
            lines += [(hit["at"], 3, _hit(hit)) for hit in told.events if hit["message_id"] == row["id"]]
    if recovery["ended_at"]:
        by = f" with order {recovery['order_ref']} ({recovery['evidence']})" if recovery["order_ref"] else ""
        lines.append((recovery["ended_at"], 4, f"stopped: {recovery['end_reason']}{by}"))
    for at, _, text in sorted(lines, key=lambda line: line[:2]):
        out.print(f"    {_at(at)}  {text}", markup=False, soft_wrap=True)
    if recovery["wake_at"]:
        out.print(f"    {_at(recovery['wake_at'])}  the rules are asked again")


def _decision(row: Mapping[str, Any], *, full: bool) -> str:
    text = f"{row['verdict']}{' ' + row['step'] if row['step'] else ''}: {row['because']}"
    if not full:
        return text
    asked = [
        f"\n{'':22}{'+' if question['passed'] else '-'} {question['asked']} {question['answer']}"
        for question in row["questions"]
    ]
    return text + "".join(asked)


def _message(row: Mapping[str, Any]) -> list[tuple[datetime, int, str]]:
    name = f"message {row['id']} ({row['step']}, {row['channel']})"
    lines = [(row["planned_at"], 2, f"{name} planned on {row['basis']}: {row['basis_evidence']}")]
    for _, started_at, outcome, code, error in row["attempts"]:
        because = f": {code or ''} {error or ''}".rstrip() if error or code else ""
        lines.append((started_at, 2, f"{name} handed to the relay, {outcome or 'not answered yet'}{because}"))
    if row["ended_at"]:
        lines.append((row["ended_at"], 2, f"{name} {row['state']}: {row['reason']}"))
    return lines


def _hit(hit: Mapping[str, Any]) -> str:
    return f"{hit['kind']} by {hit['class'] or 'somebody not yet classed'}"


def _at(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S}"


async def status(*, as_json: AsJson = False) -> int:
    """What runs, what is paused, what rests, when each shop was last heard of. Exit 1 if anything is amiss."""
    async with desk() as at:
        pauses = await brake.pauses(at.pool, at.now)
        beats = await shops.beats(at.pool)
        rests = {name: await messages.resting(at.pool, number) for name, number in at.ids.items()}
        works = {name: await work.status(at.pool, number) for name, number in at.ids.items()}
    problems = [
        f"shop {name}: {row.name}: {row.problem}" for name, rows in works.items() for row in rows if row.problem
    ]
    problems += [
        f"shop {name}: {channel} rests: {reason}" for name, row in rests.items() for channel, reason in row.items()
    ]
    if as_json:
        print_json(
            {
                "now": at.now,
                "processes": [asdict(beat) for beat in beats],
                "paused": [asdict(pause) for pause in pauses],
                "resting": rests,
                "works": {name: [asdict(row) for row in rows] for name, rows in works.items()},
                "problems": problems,
            }
        )
        return FINDINGS if problems else FINE
    _status(console(), at.now, beats, pauses, problems)
    return FINDINGS if problems else FINE


def _status(
    out: Console, now: datetime, beats: Sequence[shops.Beat], pauses: Sequence[brake.Pause], problems: Sequence[str]
) -> None:
    out.print(f"shop time {_at(now)} UTC")
    for beat in beats:
        out.print(f"{beat.kind:6} {beat.process} {beat.version}, heard of {beat.silent_for.total_seconds():.0f} s ago")
    if not beats:
        out.print("no process runs")
    for pause in pauses:
        what = [f"{word} {value}" for word in ("policy", "step", "channel") if (value := getattr(pause, word))]
        until = f"until {_at(pause.until)}" if pause.until else "until resumed"
        out.print(f"paused: {pause.shop} {' '.join(what) or '(all)'} since {_at(pause.since)} {until}: {pause.reason}")
    for problem in problems:
        out.print(problem, markup=False)
