"""Pretend platforms on this machine, and clients that speak with them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime

import pytest
from aiohttp import web

from channels.ads import google, meta
from channels.ads.base import Part
from channels.ads.wire import Wire
from daemon.demo.google import PretendGoogle
from daemon.demo.meta import PretendMeta

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
PATIENCE = 60.0


@asynccontextmanager
async def serving(routes: list[web.RouteDef]) -> AsyncIterator[str]:
    """The address of a server with these routes."""
    app = web.Application(client_max_size=64 * 1024 * 1024)
    app.add_routes(routes)
    runner = web.AppRunner(app, handle_signals=False, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    try:
        yield f"http://127.0.0.1:{runner.addresses[0][1]}"
    finally:
        await runner.cleanup()


class MetaStage:
    """A client, the platform behind it, and how the platform tells who is in."""

    def __init__(self, base: str, platform: PretendMeta) -> None:
        self.platform = platform
        self.client = meta.Meta(meta.Config("123", "meta-token", f"{base}/v25.0"), Wire("Meta", PATIENCE))

    def inside(self) -> int:
        return len(self.platform.audiences.get("123", ()))


class GoogleStage:
    def __init__(self, base: str, platform: PretendGoogle) -> None:
        self.platform = platform
        config = google.Config("1234567890", "77", platform.key(base), api=base)
        self.client = google.Google(config, lambda: NOW, Wire("Google", PATIENCE))

    def inside(self) -> int:
        return len(self.platform.audiences.get("77", ()))


@pytest.fixture
async def stage() -> AsyncIterator[object]:
    """`await stage("meta")`."""
    async with AsyncExitStack() as stack:

        async def make(name: str) -> MetaStage | GoogleStage:
            platform = PretendMeta() if name == "meta" else PretendGoogle()
            base = await stack.enter_async_context(serving(platform.routes()))
            made = MetaStage(base, platform) if name == "meta" else GoogleStage(base, platform)
            stack.push_async_callback(made.client.close)
            return made

        yield make


@pytest.fixture
def part() -> object:
    """A session of one part, or of several."""
    numbers = iter(range(1, 1000))

    def make(total: int, no: int = 1, last: bool = True, before: int = 0, session: int = 0) -> Part:
        return Part(session or next(numbers), no, last, total, before)

    return make


async def first_error(coroutine: object) -> BaseException | None:
    try:
        async with asyncio.timeout(120):
            await coroutine  # type: ignore[misc]
    except Exception as error:
        return error
    return None
