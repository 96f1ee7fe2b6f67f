"""`tillbell replies`: what customers wrote back."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from io import TextIOWrapper
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich.table import Table

from daemon.cli.desk import AsJson, Desk, ShopName, console, desk, print_json
from daemon.cli.exits import FINDINGS, FINE
from daemon.post import letter
from daemon.store import inbox
from daemon.store.inbox import Reply

app = App(name="replies", help="Answers of customers that nobody has read yet. None is ever deleted unread.")
Numbers = Annotated[int, Parameter(help="Numbers as `replies list` shows them.")]


@app.command(name="list")
async def show_all(*, shop: ShopName = None, as_json: AsJson = False) -> int:
    """Those that wait to be read, oldest first."""
    async with desk() as at:
        found = {name: await _unread(at, shop_id) for name, shop_id in at.only(shop).items()}
    if as_json:
        print_json({name: [_plain(one) for one in rows] for name, rows in found.items()})
        return FINE
    if not any(found.values()):
        console().print("no reply waits to be read")
        return FINE
    table = Table("reply", "shop", "came", "message", "from", "subject", box=None)
    for name, rows in found.items():
        for one in rows:
            read = letter.read(one.body)
            told = "" if one.message_id is None else str(one.message_id)
            table.add_row(str(one.id), name, f"{one.received_at:%Y-%m-%d %H:%M}", told, read.author, read.subject)
    console().print(table)
    return FINE


@app.command
async def show(number: int, /, *, shop: ShopName = None, raw: Annotated[bool, Parameter(negative="")] = False) -> int:
    """Print one reply, as text.

    Parameters
    ----------
    number
        Its number, as `replies list` shows it.
    raw
        As it came, for a mail program: `tillbell replies show 7 --raw > reply.eml`.
    """
    async with desk() as at:
        found = [one for shop_id in at.only(shop).values() if (one := await inbox.reply(at.pool, shop_id, number))]
    for one in found:
        if raw:
            _print_octets(one.body)
            continue
        read = letter.read(one.body)
        console().print(f"From: {read.author}\nSubject: {read.subject}\nCame: {one.received_at:%Y-%m-%d %H:%M} UTC")
        console().print(f"Message: {one.message_id or 'none of ours'}\n\n{read.text}", soft_wrap=True)
    if not found:
        console().print(f"there is no reply {number}")
    return FINE if found else FINDINGS


@app.command
async def done(*numbers: Numbers, shop: ShopName = None) -> int:
    """These have been read and seen to: they are no longer listed, and forgotten after TILLBELL_KEEP_HITS."""
    async with desk(acts=True) as at:
        ended = [one for shop_id in at.only(shop).values() for one in await inbox.has_read(at.pool, shop_id, numbers)]
    console().print(f"{len(ended)} done")
    return FINE if ended else FINDINGS


def _print_octets(octets: bytes) -> None:
    """As they are, whatever language the terminal speaks."""
    if isinstance(sys.stdout, TextIOWrapper):
        sys.stdout.reconfigure(encoding="utf-8", errors="surrogateescape")
    sys.stdout.write(octets.decode("utf-8", "surrogateescape"))


async def _unread(at: Desk, shop_id: int) -> list[Reply]:
    found: list[Reply] = []
    while page := await inbox.unread(at.pool, shop_id, found[-1].id if found else 0):
        found += page
    return found


def _plain(one: Reply) -> Mapping[str, Any]:
    read = letter.read(one.body)
    return {
        "reply": one.id,
        "received_at": one.received_at,
        "message": one.message_id,
        "person": one.person_id,
        "from": read.author,
        "subject": read.subject,
        "text": read.text,
    }
