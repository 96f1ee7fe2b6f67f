"""The web process of one shop, on a real database, and a visitor."""

import os
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
from playwright.sync_api import Browser, sync_playwright

from daemon.context import Context
from daemon.web.serve import Served, serve
from tests.letters import BROWSER, Letter, make_context, write_letter


@pytest.fixture(scope="module")
def browser(needs_program: Callable[[str], str]) -> Iterator[Browser]:
    program = needs_program("chromium")
    with sync_playwright() as play:
        args = ["--no-sandbox"] if os.geteuid() == 0 else []
        browser = play.chromium.launch(executable_path=program, args=args, timeout=120_000)
        yield browser
        browser.close()


@dataclass
class Site:
    """The daemon's web side as the world sees it."""

    context: Context
    served: Served
    visitor: aiohttp.ClientSession
    operator: aiohttp.ClientSession

    @property
    def shop_id(self) -> int:
        return self.context.shop_ids["main"]

    async def letter(self, email: str = "ada@example.org", **facts: object) -> Letter:
        return await write_letter(self.context.pool, self.shop_id, email, **facts)

    async def ask(self, method: str, path: str, **how: object) -> tuple[int, aiohttp.ClientResponse, str]:
        async with self.visitor.request(method, path, allow_redirects=False, **how) as response:
            return response.status, response, (await response.read()).decode("latin-1")

    async def rows(self, query: str, *values: object) -> list[tuple[object, ...]]:
        return [tuple(row) for row in await self.context.pool.fetch(query, *values)]

    async def kinds(self) -> list[str]:
        return [kind for (kind,) in await self.rows("SELECT kind FROM event ORDER BY recorded_at")]


@pytest.fixture
async def site(database: str, tmp_path: Path) -> AsyncIterator[Site]:
    context = await make_context(database, tmp_path)
    served = await serve(context)
    async with (
        aiohttp.ClientSession(f"http://127.0.0.1:{served.public_port}", headers={"User-Agent": BROWSER}) as visitor,
        aiohttp.ClientSession(f"http://127.0.0.1:{served.private_port}") as operator,
    ):
        yield Site(context, served, visitor, operator)
    await served.close()
    await context.pool.close()
