"""The example feeds, each in a process of its own, read by the real connector."""

import asyncio
import os
import shutil
import sys
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import pytest

from daemon.embedded.process import free_port
from daemon.shops.base import ShopUnavailable
from daemon.shops.feed import Feed, FeedConfig

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples"
NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
RUN = {"py": [sys.executable], "js": ["node"], "php": ["php", "-S"]}


@asynccontextmanager
async def running(language: str):
    """The address of an example shop, in a process of its own."""
    command = shutil.which(RUN[language][0]) or pytest.skip(f"{RUN[language][0]} is not installed")
    port = free_port()
    options = [f"127.0.0.1:{port}"] if language == "php" else []
    process = await asyncio.create_subprocess_exec(
        command, *RUN[language][1:], *options, EXAMPLES / f"feed.{language}",
        env={**os.environ, "FEED_TOKEN": "t0ken", "PORT": str(port)},
        stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT,
    )  # fmt: skip
    async with asyncio.timeout(60):
        await process.stdout.readline()  # that it listens
    yield f"http://127.0.0.1:{port}/tillbell"
    process.kill()
    await process.communicate()


@pytest.mark.parametrize("language", RUN)
async def test_the_example_is_a_feed(language):
    async with running(language) as url:
        feed = Feed(FeedConfig(url=url, token="t0ken"))
        pages = [await feed.carts("", 2, NOW)]
        while pages[-1].more:
            pages.append(await feed.carts(pages[-1].cursor, 2, NOW))
        once = await feed.carts("", 100, NOW)
        again = await feed.carts(once.cursor, 100, NOW)
        orders = await feed.orders("", 2, NOW)
        rest = await feed.orders(orders.cursor, 2, NOW)
        none = await feed.orders(rest.cursor, 2, NOW)
        assert (await feed.health(NOW)).findings == ()
        feed.fetch.token = "guess"
        with pytest.raises(ShopUnavailable, match="not let in"):
            await feed.carts("", 100, NOW)
        await feed.close()
    assert [len(page.carts) for page in pages] == [2, 2, 1]
    assert ([page.is_full_snapshot for page in pages], pages[-1].cursor) == ([True] * 3, "")
    assert [one.ref for one in once.carts] == ["1", "2", "3", "4", "5"]
    assert again.unchanged
    assert [one.ref for batch in (orders, rest, none) for one in batch.orders] == ["1", "2", "3"]
    assert [batch.more for batch in (orders, rest, none)] == [True, False, False]
