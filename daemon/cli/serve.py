"""`tillbell run` and what belongs around it: migrate, dump, load, check, settings."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal

import uvloop
from cyclopts import Parameter
from rich.table import Table

from daemon import logs, mail
from daemon import run as process
from daemon import settings as setting
from daemon.book import Book
from daemon.book import load as load_book
from daemon.cli.desk import UNKNOWN, AsJson, console, print_json
from daemon.cli.exits import FINDINGS, FINE
from daemon.embedded import dump as dumping
from daemon.flow import texts, writers
from daemon.house import data_dir, servers_of, window
from daemon.mail.texts import load_voices
from daemon.opening import open_channels
from daemon.settings import PREFIX, Settings
from daemon.shops import discover
from daemon.store import clock
from rules.shops import ShopWords

Part = Annotated[
    Literal["all", "web", "worker"], Parameter(help="Only this part: web answers and takes in, worker does the work.")
]


def run(*, only: Part = "all") -> int:
    """Run the daemon until SIGTERM or Ctrl-C: web, worker and bell in one process, or one part of them."""
    chosen = setting.read()
    logs.set_up(chosen)
    uvloop.run(process.run(chosen, only))
    return FINE


async def migrate() -> int:
    """Bring the database to the schema of this version. Any number may do so at once."""
    from daemon.migrate import migrate as apply  # noqa: PLC0415  # slow to import, and only this command needs it

    chosen = setting.read()
    logs.set_up(chosen)
    async with servers_of(chosen, share=True) as servers:
        applied = await apply(servers.database_url)
    for name in applied:
        console().print(f"applied {name}")
    if not applied:
        console().print("nothing to do: the database has the schema of this version")
    return FINE


async def dump(file: Path, /) -> int:
    """Write the whole database to FILE, for another major version of PostgreSQL or another machine."""
    chosen = setting.read()
    async with servers_of(chosen, share=True) as servers:
        size = await dumping.dump(servers.database_url, file)
    console().print(f"wrote {file}: {size:,} bytes. The keys of the data folder are not in it: keep them with it.")
    return FINE


async def load(file: Path, /) -> int:
    """Read FILE, written by `tillbell dump`, into an empty database."""
    chosen = setting.read()
    async with servers_of(chosen, share=True) as servers:
        await dumping.load(servers.database_url, file)
    console().print(f"read {file}")
    return FINE


async def check(*, as_json: AsJson = False) -> int:
    """Check settings, rules, templates, shops and channels, as far as they can be checked without sending anything."""
    notes: list[str] = []
    chosen = setting.read()
    logs.set_up(chosen.model_copy(update={"log_level": "error"}))
    book = load_book(chosen.rules_dir, os.environ, discover())
    findings = _rules(chosen, book)
    if not findings:
        findings, notes = await _shops(chosen)
    findings += _surroundings(chosen, book)
    if as_json:
        print_json({"findings": findings, "notes": notes})
    else:
        for line in (*findings, *(f"note: {note}" for note in notes)):
            console().print(line, soft_wrap=True)
        if not findings:
            console().print("all is well")
    return FINDINGS if findings else FINE


def _rules(chosen: Settings, book: Book) -> list[str]:
    findings = [str(mistake) for mistake in book.mistakes]
    own = chosen.rules_dir / "templates"
    try:
        mail.load(own if own.is_dir() else None)
        findings += [str(one) for one in texts.mistakes(book, load_voices(own), chosen.public_base_url)]
    except mail.TemplateError as error:
        findings.append(str(error))
    return findings + _post(chosen, book.shops)


def _post(chosen: Settings, shops: Mapping[str, ShopWords]) -> list[str]:
    """Whether what comes back finds the way that was made for it."""
    if not chosen.lmtp_listen:
        return []
    return [
        f"shop {name}: TILLBELL_LMTP_LISTEN waits for reports, and without bounce_domain they go to the sender's domain"
        for name, shop in sorted(shops.items())
        if shop.sender is not None and shop.sender.bounce_domain is None and shop.mailbox is None
    ]


async def _shops(chosen: Settings) -> tuple[list[str], list[str]]:
    """Findings, and notes: what the first start of the daemon will bring."""
    async with servers_of(chosen, share=True) as servers, window(chosen, servers.database_url) as (context, behind):
        now = await clock.machine_now(context.pool)
        findings: list[str] = []
        notes = [f"{behind}: `tillbell run` brings it up, or `tillbell migrate`"] if behind else []
        for name, shop in context.shops.items():
            if not behind and name not in context.shop_ids:
                notes.append(f"shop {name}: {UNKNOWN}")
            health = await shop.health(now)
            if not health.reachable:
                findings.append(f"shop {name}: cannot be reached")
            findings += [f"shop {name}: {finding}" for finding in health.findings]
        return findings, notes


def _surroundings(chosen: Settings, book: Book) -> list[str]:
    open_channels(chosen, data_dir(chosen))  # says by itself what is wrong with them
    findings = [str(mistake) for mistake in writers.mistakes(book, chosen)]
    if not chosen.public_base_url:
        findings.append("TILLBELL_PUBLIC_BASE_URL is not set: links in mails would lead to this machine only")
    elif not chosen.public_base_url.startswith("https://"):
        findings.append("TILLBELL_PUBLIC_BASE_URL is not https: mailbox providers will not offer one-click unsubscribe")
    return findings


def settings(*, as_json: AsJson = False) -> int:
    """Print every setting, its value and what it does. Secrets are masked."""
    chosen = setting.read()
    rows = [
        (f"{PREFIX}{name.upper()}", setting.written(getattr(chosen, name)), str(field.description))
        for name, field in Settings.model_fields.items()
    ]
    if as_json:
        print_json({name: value for name, value, _ in rows})
        return FINE
    table = Table("setting", "value", "what it does", box=None, padding=(0, 2, 0, 0))
    for row in rows:
        table.add_row(*row)
    console().print(table)
    return FINE
