"""The pulse as a running daemon takes it: what is amiss in the installation degrades each of its processes."""

from __future__ import annotations

import asyncio
import json
import re

from daemon.doctor import pulse
from daemon.store import shops


async def test_a_killed_worker_degrades_the_others_until_one_replaces_it(monkeypatch, make_town, unused_tcp_port):
    monkeypatch.setattr(pulse, "EVERY", 0.05)
    town = await make_town(private_listen=f"127.0.0.1:{unused_tcp_port}")
    private = f"http://127.0.0.1:{unused_tcp_port}"

    async def status() -> tuple[str, list[str]]:
        async with town.http.get(f"{private}/readyz") as response:
            assert response.status == 200
            told = json.loads(await response.text())
            return told["status"], told["reasons"]

    await shops.beat(town.context.pool, "gone-1", "worker", "1", 0)
    await town.context.pool.execute(
        "UPDATE heartbeat SET beat_real = beat_real - interval '2 min', since_real = since_real - interval '1 hour' "
        "WHERE process = 'gone-1'"
    )
    missed = re.compile(r"gone-1 \(worker\) has not been heard of for [2-4] min")
    async with asyncio.timeout(60):
        while not any(map(missed.search, (told := await status())[1])):
            await asyncio.sleep(0.02)
    assert told[0] == "degraded"
    await shops.beat(town.context.pool, "new-1", "worker", "1", 0)
    async with asyncio.timeout(60):
        while (await status())[0] != "ready":
            await asyncio.sleep(0.02)
