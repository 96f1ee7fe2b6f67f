"""The story of the demo: shop, mailbox, shoppers and the real daemon, moved on from instant to instant."""

from __future__ import annotations

import asyncio
import base64
import os
import secrets
import shutil
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from daemon.clock import machine_now, monotonic
from daemon.demo import rulebook, shoppers
from daemon.demo.mailbox import Mailbox
from daemon.demo.pockets import Pockets
from daemon.demo.process import Daemon, settings
from daemon.demo.reading_room import ReadingRoom
from daemon.demo.receivers import Receivers
from daemon.demo.shop import Hook, PretendShop
from daemon.demo.town import Town
from daemon.embedded import Servers, start
from daemon.embedded.process import free_port

HOME = ZoneInfo("Europe/Berlin")
OPENS_AT = 8
"""Hour of the Monday on which the story begins."""
POLL_EVERY = timedelta(minutes=20)
THROWN_AWAY = {"fsync": "off", "full_page_writes": "off", "autovacuum_naptime": "2s"}
"""Of PostgreSQL: the demo's database does not outlive it, so nothing has to survive a power cut. Days pass in seconds,
so its planner has to learn soon how large the tables have become."""


@dataclass(frozen=True, slots=True)
class Plot:
    """What is played. `speed`: shop hours a second; 0 as fast as it goes."""

    seed: int = 1
    shoppers: int = 200
    hours: int = 72
    speed: float = 0.0
    mailbox_port: int = 0


@dataclass(slots=True)
class Stage:
    """Everything that takes part."""

    plot: Plot
    town: Town
    shop: PretendShop
    mailbox: Mailbox
    receivers: Receivers
    pockets: Pockets
    daemon: Daemon
    reading_url: str
    folder: Path
    instants: int = 0

    @property
    def end(self) -> datetime:
        return self.town.start + timedelta(hours=self.plot.hours)


def monday(after: datetime) -> datetime:
    """The first Monday morning in Berlin after that: shop time only goes forward."""
    local = after.astimezone(HOME)
    day = local.date() + timedelta(days=7 - local.weekday())
    return datetime(day.year, day.month, day.day, OPENS_AT, tzinfo=HOME).astimezone(UTC)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    folder = Path(tempfile.mkdtemp(prefix="tillbell-demo-"))
    folder.chmod(0o711)  # as root the servers run as another account, which must reach its own part
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@asynccontextmanager
async def staged(plot: Plot, listener: Callable[[Any], None] = lambda _: None) -> AsyncIterator[Stage]:
    """All set up, the daemon ready. Leaving it stops everything and removes its folder."""
    async with AsyncExitStack() as stack:
        folder = stack.enter_context(temporary_folder())
        begin = monday(machine_now())
        playing: list[Town] = []

        def now() -> datetime:
            return playing[0].now if playing else machine_now()

        shop = await stack.enter_async_context(PretendShop(now))
        mailbox = await stack.enter_async_context(Mailbox(now))
        receivers = await stack.enter_async_context(Receivers())
        room = await stack.enter_async_context(ReadingRoom(mailbox, plot.mailbox_port))
        rulebook.write(folder / "rules.d", shop.url, (begin - timedelta(days=730)).date())
        servers = await stack.enter_async_context(await start(folder / "servers", settings=THROWN_AWAY))
        daemon = _daemon(plot, folder, shop, mailbox, receivers, servers, listener)
        people = shoppers.population(plot.seed, plot.shoppers, plot.hours)
        town = await stack.enter_async_context(Town(shop, mailbox, people, begin))
        stack.push_async_callback(daemon.stop)
        await daemon.start()
        await daemon.finished()  # the first look at the shop: nobody is there yet
        playing.append(town)
        await daemon.jump(begin)
        pockets = Pockets(town, receivers.twilio, receivers.pushes, daemon.public_url, receivers.site_key)
        await stack.enter_async_context(pockets)
        yield Stage(plot, town, shop, mailbox, receivers, pockets, daemon, room.url, folder)


def _daemon(
    plot: Plot,
    folder: Path,
    shop: PretendShop,
    mailbox: Mailbox,
    receivers: Receivers,
    servers: Servers,
    listener: Callable[[Any], None],
) -> Daemon:
    key = "whsec_" + base64.b64encode(os.urandom(32)).decode()
    ports = (free_port(), free_port())
    extra = {
        "TILLBELL_DATABASE_URL": servers.database_url,
        "TILLBELL_REDIS_URL": servers.redis_url,
        "DEMO_SHOP_TOKEN": shop.token,
        "DEMO_SHOP_KEY": key,
        **receivers.settings(),
        "TILLBELL_SECRET": secrets.token_hex(32),
        "TILLBELL_PEPPER": secrets.token_hex(32),
    }
    shop.hook = Hook(f"http://127.0.0.1:{ports[0]}/hooks/shop/{rulebook.NAME}", key)
    environment = settings(folder, ports, mailbox.port, plot.seed, f"{POLL_EVERY // timedelta(minutes=1)}m", extra)
    public, private = (f"http://127.0.0.1:{port}" for port in ports)
    return Daemon(environment, public, private, folder / "daemon.log", listener)


async def play(stage: Stage, until: datetime | None = None) -> None:
    """To the end of the story, or until then: at each instant the daemon finishes first, then the shoppers act, then it
    again."""
    town, daemon, end = stage.town, stage.daemon, until or stage.end
    while True:
        instant = await daemon.finished()
        await town.read_mail()
        if await stage.pockets.read() + await town.act():
            continue  # what they did may have made something due at this very instant
        stage.instants += 1
        following = [at for at in (instant.next, town.next_deed()) if at is not None]
        to = min([*following, end])
        if to > town.now:
            await _paced(stage, to)
        if to >= end:
            break
        town.now = to
        await daemon.jump(to)
    town.now = end
    await daemon.jump(end)
    await daemon.finished()
    await town.read_mail()
    await stage.pockets.read()


async def _paced(stage: Stage, to: datetime) -> None:
    if stage.plot.speed:
        await asyncio.sleep((to - stage.town.now) / timedelta(hours=stage.plot.speed))


async def timed(stage: Stage) -> float:
    """Play; how many seconds it took."""
    began = monotonic()
    await play(stage)
    return monotonic() - began
