"""`python -m bench`: all goals or some of them, in one run on one machine, as a table of ratios or as JSON."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import sys
import traceback
from time import perf_counter

from rich.console import Console
from rich.table import Table

from bench.measured import Measured, Row
from bench.place import Place, machine, open_place

GOALS = {
    "P1": "p01_mail",
    "P2": "p02_path",
    "P3": "p03_transport",
    "P4": "p04_far",
    "P5": "p05_composer",
    "P6": "p06_pixel",
    "P7": "p07_webhooks",
    "P8": "p08_carts",
    "P9": "p09_enrolment",
    "P10": "p10_claim",
    "P11": "p11_growth",
    "P12": "p12_lateness",
    "P13": "p13_push",
    "P14": "p14_memory",
}


async def measure(chosen: list[str], sizes: dict[str, int]) -> dict[str, Measured]:
    """Each goal in turn, on the same servers. `sizes` are given to every goal that knows them."""
    found = {}
    async with open_place() as place:
        for goal in chosen:
            print(f"{goal} …", file=sys.stderr, flush=True)
            try:
                found[goal] = await one(place, goal, sizes)
            except Exception as error:  # the other goals are still worth measuring
                traceback.print_exc()
                found[goal] = Measured([Row(goal, "could not be measured", f"{type(error).__name__}")])
    return found


async def one(place: Place, goal: str, sizes: dict[str, int]) -> Measured:
    function = importlib.import_module(f"bench.{GOALS[goal]}").measure
    known = function.__code__.co_varnames[: function.__code__.co_argcount]
    began = perf_counter()
    told: Measured = await function(place, **{name: size for name, size in sizes.items() if name in known})
    told.seconds = perf_counter() - began
    return told


COLUMNS = ("goal", "what", "figure", "ratio", "bound", "met")


def cells(row: Row) -> tuple[str, ...]:
    ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
    bound = "" if row.bound is None else f"{'≤' if row.at_most else '≥'} {row.bound:g}"
    return row.goal, row.what, row.figure, ratio, bound, {True: "yes", False: "no", None: ""}[row.met]


def show(found: dict[str, Measured], machine_line: str) -> None:
    table = Table(caption=machine_line, caption_justify="left")
    for name in COLUMNS:
        table.add_column(name, justify="right" if name in ("ratio", "bound") else "left", overflow="fold")
    for told in found.values():
        for row in told.rows:
            *most, met = cells(row)
            table.add_row(*most, f"[{'green' if met == 'yes' else 'red'}]{met}[/]" if met else "")
        table.add_section()
    console = Console(width=None if sys.stdout.isatty() else 150)
    console.print(table)
    for goal, told in found.items():
        for note in told.notes:
            console.print(f"{goal}: {note}", highlight=False)
    console.print(f"{sum(told.seconds for told in found.values()):.0f} s in all")


def as_markdown(found: dict[str, Measured], machine_line: str) -> str:
    """As docs/performance.md keeps it."""
    lines = [COLUMNS, ("---",) * len(COLUMNS), *(cells(row) for told in found.values() for row in told.rows)]
    table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
    notes = "".join(f"\n- {goal}: {note}." for goal, told in found.items() for note in told.notes)
    return f"{table}\n\n{machine_line}\n{notes}"


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--only", help="goals to measure, separated by commas, such as P8,P9")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of the table")
    parser.add_argument("--markdown", action="store_true", help="the table as docs/performance.md keeps it")
    parser.add_argument("--size", action="append", default=[], metavar="NAME=N", help="such as carts=50000, mails=500")
    asked = parser.parse_args()
    chosen = asked.only.upper().split(",") if asked.only else list(GOALS)
    if unknown := set(chosen) - set(GOALS):
        parser.error(f"unknown goal {', '.join(sorted(unknown))}; there are {', '.join(GOALS)}")
    sizes = {name: int(number) for name, _, number in (size.partition("=") for size in asked.size)}
    where = machine()
    found = asyncio.run(measure(chosen, sizes))
    if asked.json:
        rows = {goal: [row.as_json() for row in told.rows] for goal, told in found.items()}
        figures = {goal: told.figures for goal, told in found.items()}
        print(json.dumps({"machine": where, "rows": rows, "figures": figures}, ensure_ascii=False, indent=1))
    elif asked.markdown:
        print(as_markdown(found, where))
    else:
        show(found, where)


if __name__ == "__main__":
    main()
