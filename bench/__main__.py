"""`python -m bench`: all goals or some of them, in one run on one machine, as a table of ratios or as JSON."""

from __future__ import annotations

import argparse
import asyncio
import importlib
import json
import sys
from time import perf_counter

from rich.console import Console
from rich.table import Table

from bench.measured import Measured
from bench.place import Place, machine, open_place

GOALS = {
    "P1": "p01_mail",
    "P6": "p06_pixel",
    "P8": "p08_carts",
    "P9": "p09_enrolment",
    "P10": "p10_claim",
}


async def measure(chosen: list[str], sizes: dict[str, int]) -> dict[str, Measured]:
    """Each goal in turn, on the same servers. `sizes` are given to every goal that knows them."""
    found = {}
    async with open_place() as place:
        for goal in chosen:
            print(f"{goal} …", file=sys.stderr, flush=True)
            found[goal] = await one(place, goal, sizes)
    return found


async def one(place: Place, goal: str, sizes: dict[str, int]) -> Measured:
    function = importlib.import_module(f"bench.{GOALS[goal]}").measure
    known = function.__code__.co_varnames[: function.__code__.co_argcount]
    began = perf_counter()
    told: Measured = await function(place, **{name: size for name, size in sizes.items() if name in known})
    told.seconds = perf_counter() - began
    return told


def show(found: dict[str, Measured], machine_line: str) -> None:
    table = Table(caption=machine_line, caption_justify="left")
    for name in ("goal", "what", "figure", "ratio", "bound", "met"):
        table.add_column(name, justify="right" if name in ("ratio", "bound") else "left", overflow="fold")
    for told in found.values():
        for row in told.rows:
            ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
            bound = "" if row.bound is None else f"{'≤' if row.at_most else '≥'} {row.bound:g}"
            met = {True: "[green]yes[/]", False: "[red]no[/]", None: ""}[row.met]
            table.add_row(row.goal, row.what, row.figure, ratio, bound, met)
        table.add_section()
    console = Console(width=None if sys.stdout.isatty() else 150)
    console.print(table)
    for goal, told in found.items():
        for note in told.notes:
            console.print(f"{goal}: {note}", highlight=False)
    console.print(f"{sum(told.seconds for told in found.values()):.0f} s in all")


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench", description=__doc__)
    parser.add_argument("--only", help="goals to measure, separated by commas, such as P8,P9")
    parser.add_argument("--json", action="store_true", help="one JSON document instead of the table")
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
    else:
        show(found, where)


if __name__ == "__main__":
    main()
