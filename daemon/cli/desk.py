"""What commands share: the database beside a daemon that may be running, the shops by name, how figures are printed."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Annotated, Any

from cyclopts import Parameter
from pytimeparse.timeparse import timeparse
from rich.console import Console

from daemon import logs, settings
from daemon.errors import ConfigurationError
from daemon.house import read_only, servers_of
from daemon.schema import check_schema
from daemon.settings import Settings
from daemon.store import clock, shops
from daemon.store.database import Pool, connect_pool

AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON.")]
ShopName = Annotated[str | None, Parameter(name="--shop", help="Only this shop, by its name in shops.yaml.")]


LONGEST = 600.0
"""Seconds that a question of a person may take: `report` over a year, `books --all`."""
UNKNOWN = "the database does not know it yet: the daemon makes it known when it starts (`tillbell run`)"


@dataclass(frozen=True, slots=True)
class Desk:
    """A command's view of the database."""

    settings: Settings
    pool: Pool
    now: datetime
    ids: Mapping[str, int]

    def only(self, shop: str | None) -> dict[str, int]:
        """All shops, or the one named. Raises ConfigurationError for one that is not there."""
        if shop is None:
            return dict(self.ids)
        if shop not in self.ids:
            raise ConfigurationError(no_shop(shop, self.ids, self.settings))
        return {shop: self.ids[shop]}


def no_shop(shop: str, known: Iterable[str], chosen: Settings) -> str:
    """Why the database does not know it: a slip of the pen, or a shop that no daemon has served yet."""
    from daemon.book import load  # noqa: PLC0415  # slow to import, and only a mistake needs it

    if shop in load(chosen.rules_dir, None, None).shops:
        return f'the shop "{shop}" stands in shops.yaml and {UNKNOWN}'
    return f'there is no shop "{shop}"; there are: {", ".join(sorted(known)) or "none yet"}'


@asynccontextmanager
async def desk(*, acts: bool = False) -> AsyncIterator[Desk]:
    """Works beside a running daemon and without one; embedded servers are shared or started. Unless it `acts`, a
    command cannot change a row, whatever it does."""
    chosen = settings.read()
    logs.set_up(chosen.model_copy(update={"log_level": "warning"}))
    async with servers_of(chosen, share=True) as servers:
        address = servers.database_url if acts else read_only(servers.database_url)
        pool = await connect_pool(address, 2, limit=LONGEST)
        try:
            async with pool.acquire() as connection:
                await check_schema(connection)  # type: ignore[arg-type]  # a pool's connection is one
            every = await shops.every(pool)
            yield Desk(chosen, pool, await clock.shop_now(pool), {row.name: row.shop_id for row in every})
        finally:
            await pool.close()


def console() -> Console:
    """Prints what it is given: square brackets in a shop's words mean nothing."""
    return Console(highlight=False, markup=False)


def width(out: Console) -> int:
    """Where lines are folded; in a file or a pipe a line is as long as it is, for grep."""
    return out.width if out.is_terminal or "COLUMNS" in os.environ else 1_000_000


def print_json(value: Any) -> None:
    """Compact enough to read, plain enough for jq."""
    json.dump(value, sys.stdout, indent=2, ensure_ascii=False, default=_plain)
    sys.stdout.write("\n")


def _plain(value: object) -> object:
    if isinstance(value, (datetime, date)):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    if isinstance(value, Decimal):
        return str(value)
    if isinstance(value, (bytes, memoryview)):
        return bytes(value).hex()
    return list(value) if isinstance(value, (set, frozenset, tuple)) else str(value)


def span(text: str) -> timedelta:
    """`2h`, `3d`; a number without a unit is refused."""
    seconds = timeparse(text)
    if seconds is None or seconds <= 0 or text.strip().isdigit():
        raise ConfigurationError(f'"{text}" is no span of time; write it with its unit, such as 90s, 2h or 3d')
    return timedelta(seconds=seconds)
