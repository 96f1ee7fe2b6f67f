"""`tillbell report` and `tillbell books`: figures with their denominators named."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import timedelta
from decimal import Decimal
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from daemon.cli.desk import AsJson, ShopName, console, desk, print_json, span
from daemon.cli.exits import FINDINGS, FINE
from daemon.store import books as book_keeping
from daemon.store import clock, members
from daemon.store import report as counting
from daemon.store.report import Figures
from rules.effect import Effect, effect

Days = Annotated[str, Parameter(help="What began within this time.")]
Window = Annotated[str, Parameter(help="How long after enrolment a purchase counts, for treated and held out alike.")]
EveryRow = Annotated[
    bool, Parameter(name="--all", negative="", help="Read every row, not only what is under way and what is newest.")
]
Each = Annotated[bool, Parameter(negative="", help="Also one row for each recovery (JSON only).")]


FOLLOWED = {"enrolled": "yes", "": "not at rest yet"}


async def report(
    *, shop: ShopName = None, since: Days = "90d", window: Window = "7d", each: Each = False, as_json: AsJson = False
) -> int:
    """Carts, recoveries by end, messages by state, and the holdout beside the treated. Rehearsals stand apart."""
    async with desk() as at:
        begin, whole = at.now - span(since), {}
        for name, shop_id in sorted(at.only(shop).items()):
            found = await counting.figures(at.pool, shop_id, begin, span(window))
            sizes = await members.sizes(at.pool, shop_id)
            whole[name] = {**_figures(found), "audiences": [asdict(size) for size in sizes]}
            if each:
                whole[name]["each"] = await counting.each(at.pool, shop_id, begin)
            if not as_json:
                _print(console(), name, found, span(window))
                _print_audiences(console(), sizes)
    if as_json:
        print_json(whole)
    return FINE


def _figures(found: Figures) -> dict[str, Any]:
    seen = effect(found.outcomes)
    return {
        "carts": found.carts,
        "recoveries": found.recoveries,
        "messages": found.messages,
        "hits": found.hits,
        "attributed": found.money,
        "effect": {
            **asdict(seen),
            "treated_rate": seen.treated.rate,
            "held_out_rate": seen.held_out.rate,
            "denominator": "all enrolled recoveries that did not cross, intention to treat",
        },
    }


def _print(out: Console, name: str, found: Figures, window: timedelta) -> None:
    out.print(f"shop {name}", style="bold")
    carts = [{**row, "answer": FOLLOWED.get(row["answer"], row["answer"])} for row in found.carts]
    _table(out, "Carts", {"state": "state", "answer": "followed up", "carts": "carts"}, carts)
    recoveries = {"group": "group", "word": "ended by", "evidence": "evidence", "recoveries": "recoveries"}
    _table(out, "Recoveries", recoveries, [_grouped(row) for row in found.recoveries if not row["rehearsal"]])
    messages = {"channel": "channel", "step": "step", "state": "state", "messages": "messages"}
    _table(out, "Messages", messages, [row for row in found.messages if not row["rehearsal"]])
    hits = {"kind": "what", "class": "by", "messages": "messages"}
    _table(out, "Hits: messages with at least one", hits, found.hits)
    _print_effect(out, effect(found.outcomes), window)
    money = {"evidence": "evidence", "orders": "orders", "total": "total", "currency": ""}
    _table(out, "Attributed: what links an order to a recovery, no proof of effect", money, found.money)
    rehearsed = [_grouped(row) for row in found.recoveries if row["rehearsal"]]
    if rehearsed:
        _table(out, "Rehearsed recoveries, in no figure above", recoveries, rehearsed)
        _table(out, "Rehearsed messages, to nobody but the test address", messages,
               [row for row in found.messages if row["rehearsal"]])  # fmt: skip


def _print_audiences(out: Console, sizes: Sequence[members.Size]) -> None:
    columns = {"audience": "audience", "wanted": "wanted", "actual": "in it", "members_ever": "members ever"}
    columns |= {"members_bought": "bought", "control_ever": "kept out as control", "control_bought": "bought of those"}
    if sizes:
        _table(out, "Ad audiences, since they began", columns, [asdict(size) for size in sizes])


def _grouped(row: Mapping[str, Any]) -> dict[str, Any]:
    return {**row, "group": "held out" if row["held_out"] else "treated", "word": row["word"].replace("_", " ")}


def _print_effect(out: Console, seen: Effect, window: timedelta) -> None:
    """Proof first: what the messages changed, with its interval and its denominator."""
    out.print("\nEffect", style="bold")
    out.print(f"  Of all who were followed up, held out or not: who bought within {_days(window)}.")
    for word, arm in (("treated", seen.treated), ("held out", seen.held_out)):
        rate = f"{arm.rate:.1%}: " if arm.recoveries else ""
        out.print(f"  {word:9} {rate}{arm.recovered} of {arm.recoveries} recoveries, {arm.persons} persons")
    if seen.difference is None or seen.low is None or seen.high is None:
        out.print("  too few persons yet for a comparison")
    else:
        out.print(
            f"  difference {100 * seen.difference:+.1f} points "
            f"({seen.confidence:.0%} interval {100 * seen.low:+.1f} to {100 * seen.high:+.1f})"
        )
    if seen.crossed:
        out.print(f"  {seen.crossed} recoveries left the comparison: their person was treated and held out at once")


def _days(span: timedelta) -> str:
    whole = span.total_seconds() / 86400
    return "a day" if whole == 1 else f"{whole:g} days" if whole >= 1 else f"{whole * 24:g} hours"


def _table(out: Console, title: str, columns: Mapping[str, str], rows: Sequence[Any]) -> None:
    """Columns by the name in the row, with their heading; numbers stand right."""
    out.print(f"\n{title}", style="bold")
    if not rows:
        out.print("  none")
        return
    table = Table(box=None, padding=(0, 2, 0, 2), pad_edge=False)
    for name, heading in columns.items():
        is_number = isinstance(rows[0][name], (int, Decimal)) and not isinstance(rows[0][name], bool)
        table.add_column(heading, justify="right" if is_number else "left")
    for row in rows:
        table.add_row(*[_cell(row[name]) for name in columns])
    out.print(table)


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return "" if value is None else str(value)


async def books(*, every: EveryRow = False, as_json: AsJson = False) -> int:
    """The books: rows that contradict each other (exit 1 if there are any), and the sums beside what a relay counts."""
    async with desk() as at:
        if every:
            found = await book_keeping.violations(at.pool, at.now)
        else:
            found = await book_keeping.lately(at.pool, at.now, await clock.machine_now(at.pool))
        sums = await book_keeping.sums(at.pool)
    if as_json:
        print_json({"violations": [asdict(one) for one in found], "sums": [asdict(one) for one in sums]})
    else:
        out = console()
        columns = {name: name for name in ("shop", "rehearsal", "channel", "state", "messages")}
        _table(out, "Messages", columns, [asdict(one) for one in sums])
        for one in found:
            out.print(f"{one.kind}: {one.noun} {one.id} of shop {one.shop_id}")
        if not every:
            out.print("\nread: what is under way and what is newest; --all reads every row")
        out.print(f"\n{len(found)} contradiction{'s' if len(found) > 1 else ''}" if found else "\nthe books are clean")
    return FINDINGS if found else FINE
