"""The way out, walked as a mailbox provider walks it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

import pytest

from daemon.doctor import links
from daemon.tokens import Secrets
from daemon.web.serve import serve
from tests.letters import make_context, write_letter

CHANGED = "SELECT (SELECT count(*) FROM event) + (SELECT count(*) FROM suppression)"


@pytest.fixture
async def context(database, tmp_path):
    made = await make_context(database, tmp_path)
    await write_letter(made.pool, made.shop_ids["main"], "ada@example.org")
    yield made
    await made.pool.close()


def reached_at(context, port: int):
    """The same installation, with the address that the world has of it."""
    known = context.settings.model_copy(update={"public_base_url": f"http://127.0.0.1:{port}"})
    return replace(context, settings=known)


@asynccontextmanager
async def open_house(context) -> AsyncIterator[int]:
    """The public port of a web process."""
    served = await serve(context)
    try:
        yield served.public_port
    finally:
        await served.close()


async def test_a_way_out_that_can_be_walked_is_no_finding_and_takes_nobody_off(context):
    async with open_house(context) as port:
        assert await links.walk(reached_at(context, port), "main") == []
    assert await context.pool.fetchval(CHANGED) == 0


async def test_a_process_with_other_keys_is_found_out(context):
    async with open_house(context) as port:
        stranger = replace(reached_at(context, port), secrets=Secrets(1, {1: b"another key" * 4}))
        [said] = await links.walk(stranger, "main")
    assert (said.about, said.text) == (
        "one-click",
        f"one-click unsubscription through http://127.0.0.1:{port} is answered 404, not 200",
    )
    assert "TILLBELL_SECRET" in said.hint


async def test_a_way_out_that_nobody_opens_is_told(context, unused_tcp_port):
    [said] = await links.walk(reached_at(context, unused_tcp_port), "main")
    assert said.amiss
    assert said.text.startswith(f"one-click unsubscription through http://127.0.0.1:{unused_tcp_port} fails: Client")
