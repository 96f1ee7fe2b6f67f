"""`tillbell audience`: who is in which ad audience, as figures and as files, and telling the platforms at once."""

from __future__ import annotations

import csv
import io
import os
import sys
from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import App, Parameter
from rich.console import Console
from rich.table import Table

from channels.ads.base import Platform, Reach
from channels.ads.files import FORMS
from daemon import logs
from daemon import shops as connectors
from daemon.book import load
from daemon.cli.desk import AsJson, ShopName, console, desk, print_json
from daemon.cli.exits import FINDINGS, FINE
from daemon.context import Context
from daemon.errors import ConfigurationError
from daemon.flow import audiences
from daemon.house import house, servers_of
from daemon.settings import read
from daemon.store import clock, members
from daemon.store.members import Size

app = App(name="audience", help="Ad audiences: who is in them, as figures and as files; tell the platforms at once.")
FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n")
"""How a cell begins that a spreadsheet takes for a formula (OWASP, CSV injection)."""
COLUMNS = ("person_id", "customer_ref", "email", "phone", "first_name", "last_name", "since", "until", "actual")
TheShop = Annotated[str, Parameter(name="--shop", help="The shop it belongs to, by its name in shops.yaml.")]
To = Annotated[Path | None, Parameter(help="File to write; by default it is printed.")]
For = Annotated[
    Literal["people", "meta", "google"],
    Parameter(
        name="--for",
        help="people: names and addresses, for a spreadsheet. meta, google: hashes only, in the form in which that "
        "platform takes a file.",
    ),
]


@app.command(name="list")
async def show(*, shop: ShopName = None, as_json: AsJson = False) -> int:
    """Every audience: people wanted in it and known to be in it, its control group, the platform's last problem."""
    async with desk() as at:
        book = load(at.settings.rules_dir, None, None)
        found = {name: await members.sizes(at.pool, shop_id) for name, shop_id in at.only(shop).items()}
    rows = {
        name: _with_empty(sizes, book.shops[name].audiences if name in book.shops else {})
        for name, sizes in found.items()
    }
    if as_json:
        print_json({name: [asdict(size) for size in sizes] for name, sizes in rows.items()})
    else:
        print_sizes(console(), rows)
    return FINDINGS if any(size.problem for sizes in rows.values() for size in sizes) else FINE


@app.command
async def export(name: str, /, *, shop: TheShop, audience_for: For = "people", to: To = None) -> int:
    """Write the people who are wanted in an audience as CSV, for people or in a platform's own form.

    For people, a cell that a spreadsheet could take for a formula begins with an apostrophe, and all cells are quoted.
    For a platform there are hashes only, nothing is put in front of them, and a list of fewer than 100 is not written:
    such a list must not be uploaded.

    Parameters
    ----------
    name
        The audience, by its name in shops.yaml.
    """
    async with desk() as at:
        [(_, shop_id)] = at.only(shop).items()
        rows = await members.listed(at.pool, shop_id, name)
    if audience_for == "people":
        text, said = for_people(rows), "for people: cells that could be formulas begin with an apostrophe"
    else:
        form = FORMS[audience_for]
        keys = [keys for row in rows if (keys := form.keys(Reach(row["email"] or "", row["phone"] or "")))]
        if len({tuple(sorted(one.items())) for one in keys}) < Platform.minimum:
            _say(f"{len(keys)} people: fewer than {Platform.minimum} must not be uploaded, so nothing is written")
            return FINDINGS
        text, said = form.write(keys), f"for {audience_for}: SHA-256 as it takes them, no cell protected"
    if to is None:
        sys.stdout.write(text)
    else:
        to.write_text(text, "utf-8", newline="")
    _say(f"{len(rows)} people, {said}")
    return FINE


@app.command
async def sync(*, shop: ShopName = None) -> int:
    """Tell the platforms now what the daemon would tell them within minutes; ask again one that was left alone."""
    async with _context() as context:
        problems = 0
        for name in _chosen(context.shop_ids, shop):
            problems += await _sync(context, name)
    return FINDINGS if problems else FINE


@app.command
async def drop(
    name: str,
    /,
    *,
    shop: TheShop,
    forget: Annotated[
        bool, Parameter(negative="", help="Forget it, whatever its platform knows: for one that is asked no more.")
    ] = False,
) -> int:
    """Take everybody out of an audience. Steps that put people in go on: take those out of the rules first.

    Parameters
    ----------
    name
        The audience, by its name in shops.yaml.
    """
    async with _context() as context:
        if forget:
            every = context.former | context.shop_ids
            [of_shop] = _chosen(every, shop)
            number = await members.drop_rows(context.pool, every[of_shop], name)
            console().print(f"forgotten, with {number} people; what the platform has of it is for you to delete there")
            return FINE
        [of_shop] = _chosen(context.shop_ids, shop)
        shop_id, now = context.shop_ids[of_shop], await clock.shop_now(context.pool)
        if name not in context.keeper.book.shops[of_shop].audiences:
            raise ConfigurationError(
                f'shops.yaml has no audience "{name}" in the shop "{of_shop}", so nobody can be taken out of it; '
                "hint: --forget, once it is deleted at the platform"
            )
        await members.end(context.pool, shop_id, name, "dropped", now)
        return FINDINGS if await _sync(context, of_shop) else FINE


async def _sync(context: Context, name: str) -> int:
    """How many of its audiences have a problem, after a run."""
    shop_id = context.shop_ids[name]
    for audience in context.keeper.book.shops[name].audiences:
        await members.unrest(context.pool, shop_id, audience)
    await audiences.sync(context, shop_id, await clock.shop_now(context.pool))
    sizes = await members.sizes(context.pool, shop_id)
    print_sizes(console(), {name: sizes})
    return sum(size.problem is not None for size in sizes)


@asynccontextmanager
async def _context() -> AsyncIterator[Context]:
    """As the daemon has it, beside one that may be running."""
    chosen = read()
    logs.set_up(chosen.model_copy(update={"log_level": "warning"}))
    load(chosen.rules_dir, os.environ, connectors.discover())
    async with servers_of(chosen, share=True) as servers, house(chosen, servers.database_url) as context:
        yield context


def _chosen(known: Mapping[str, int], shop: str | None) -> list[str]:
    if shop is not None and shop not in known:
        raise ConfigurationError(f'there is no shop "{shop}"; there are: {", ".join(sorted(known))}')
    return [shop] if shop is not None else sorted(known)


def _with_empty(sizes: Sequence[Size], named: Iterable[str]) -> list[Size]:
    """With those that nobody was ever wanted in."""
    known = {size.audience for size in sizes}
    empty = [Size(name) for name in named if name not in known]
    return sorted([*sizes, *empty], key=lambda size: size.audience)


def print_sizes(out: Console, rows: Mapping[str, Sequence[Size]]) -> None:
    """One line for each audience, and below it what is wrong with it. Nothing where there are none."""
    if not any(rows.values()):
        return
    headings = ("shop", "audience", "wanted", "in it", "on their way", "control", "bought: members", "bought: control")
    table = Table(*headings, box=None)
    notes = []
    for name, sizes in rows.items():
        for size in sizes:
            moving = size.unsure + size.leaving
            bought = f"{size.members_bought} of {size.members_ever}", f"{size.control_bought} of {size.control_ever}"
            figures = map(str, (size.wanted, size.actual, moving, size.control))
            table.add_row(name, size.audience, *figures, *bought)
            notes += [f"{name}: {size.audience}: {text}" for text in (size.problem, size.note) if text]
            if 0 < size.wanted < Platform.minimum:
                notes.append(f"{name}: {size.audience}: waits until {Platform.minimum} people are wanted in it")
    out.print(table)
    for note in notes:
        out.print(note)


def for_people(rows: Iterable[Mapping[str, Any]]) -> str:
    """RFC 4180, every cell quoted; what could be a formula begins with an apostrophe."""
    out = io.StringIO()
    sheet = csv.writer(out, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    sheet.writerow(["person", *COLUMNS[1:-1], "at the platform"])
    sheet.writerows([cell(row[name]) for name in COLUMNS] for row in rows)
    return out.getvalue()


def cell(value: object) -> str:
    """What a spreadsheet shows as it is."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(FORMULA) else text


def _say(text: str) -> None:
    print(text, file=sys.stderr)
