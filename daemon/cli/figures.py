"""`tillbell report` and `tillbell books`: figures with their denominators named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated, Any

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from daemon.cli.desk import AsJson, ShopName, console, desk, print_json, span
from daemon.cli.exits import FINDINGS, FINE
from daemon.store import books as book_keeping
from daemon.store import report as counting
from daemon.store.report import Figures
from rules.effect import Effect, effect

Days = Annotated[str, Parameter(help="What began within this time.")]
Window = Annotated[str, Parameter(help="How long after enrolment a purchase counts, for treated and held out alike.")]
Each = Annotated[bool, Parameter(negative="", help="Also one row for each recovery (JSON only).")]


async def report(
    *, shop: ShopName = None, since: Days = "90d", window: Window = "7d", each: Each = False, as_json: AsJson = False
) -> int:
    """Carts, recoveries by end, messages by state, and the holdout beside the treated. Rehearsals stand apart."""
    async with desk() as at:
        begin, whole = at.now - span(since), {}
        for name, shop_id in sorted(at.only(shop).items()):
            found = await counting.figures(at.pool, shop_id, begin, span(window))
            whole[name] = _figures(found)
            if each:
                whole[name]["each"] = await counting.each(at.pool, shop_id, begin)
            if not as_json:
                _print(console(), name, found, span(window))
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
    out.print(f"\n[bold]{name}[/bold]")
    out.print(_table("Carts", ["state", "answer", "carts"], found.carts))
    live = [row for row in found.recoveries if not row["rehearsal"]]
    out.print(_table("Recoveries", ["held_out", "word", "evidence", "recoveries"], live))
    out.print(_table("Messages", ["channel", "step", "state", "messages"], _live(found.messages)))
    out.print(_table("Hits (messages with at least one)", ["kind", "class", "messages"], found.hits))
    rehearsed = [row for row in found.messages if row["rehearsal"]]
    if rehearsed:
        out.print(_table("Rehearsed, sent to nobody else", ["channel", "step", "state", "messages"], rehearsed))
    _print_effect(out, effect(found.outcomes), window)
    out.print(_table("Attributed (what links an order to a recovery; no proof of effect)",
                     ["evidence", "orders", "total", "currency"], found.money))  # fmt: skip


def _live(rows: Sequence[Any]) -> list[Any]:
    return [row for row in rows if not row["rehearsal"]]


def _print_effect(out: Console, seen: Effect, window: timedelta) -> None:
    """Proof first: what the messages changed, with its interval and its denominator."""
    out.print(f"\n[bold]Effect[/bold]: bought within {window.days} days of enrolment, of all enrolled")
    for word, arm in (("treated", seen.treated), ("held out", seen.held_out)):
        out.print(f"  {word:9} {arm.recovered} of {arm.recoveries} recoveries ({arm.persons} persons): {arm.rate:.1%}")
    if seen.difference is None or seen.low is None or seen.high is None:
        out.print("  too few persons yet for a comparison")
    else:
        out.print(
            f"  difference {100 * seen.difference:+.1f} points "
            f"({seen.confidence:.0%} interval {100 * seen.low:+.1f} to {100 * seen.high:+.1f})"
        )
    if seen.crossed:
        out.print(f"  {seen.crossed} recoveries left the comparison: their person was treated and held out at once")


def _table(title: str, columns: Sequence[str], rows: Sequence[Any]) -> Table:
    table = Table(*[column.replace("_", " ") for column in columns], title=title, title_justify="left", box=None)
    for row in rows:
        table.add_row(*["" if row[column] is None else str(row[column]) for column in columns])
    if not rows:
        table.add_row("none")
    return table


async def books(*, as_json: AsJson = False) -> int:
    """The books: rows that contradict each other (exit 1 if there are any), and the sums beside what a relay counts."""
    async with desk() as at:
        found = await book_keeping.violations(at.pool, at.now)
        sums = await book_keeping.sums(at.pool)
    if as_json:
        print_json({"violations": [asdict(one) for one in found], "sums": [asdict(one) for one in sums]})
    else:
        out = console()
        out.print(
            _table("Messages", ["shop", "rehearsal", "channel", "state", "messages"], [asdict(one) for one in sums])
        )
        for one in found:
            out.print(f"{one.kind}: {one.noun} {one.id} of shop {one.shop_id}")
        out.print(f"{len(found)} contradictions" if found else "the books are clean")
    return FINDINGS if found else FINE
