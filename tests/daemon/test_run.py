"""Whole processes: web and worker apart, what their logs hold, rules that change under them, an end in order."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest
import redis.asyncio
from aiosmtpd.controller import Controller
from standardwebhooks import Webhook

from daemon.clock import machine_now
from tests.daemon.conftest import surroundings, type_in
from tests.flow.conftest import POLICY, SHOPS, Letters

CANARY = "canary+7f3a@leak.test"
REFUSED = "refused+canary@leak.test"
START = datetime(2026, 3, 2, 9, tzinfo=UTC)


@dataclass
class Process:
    """A daemon, its log and its ports."""

    process: asyncio.subprocess.Process
    log: list[str] = field(default_factory=list)
    reading: asyncio.Task[None] | None = None
    ready: asyncio.Future[dict[str, Any]] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    async def read(self) -> None:
        assert self.process.stderr is not None
        async for raw in self.process.stderr:
            self.log.append(raw.decode())
            told = json.loads(raw)  # every line, or it is no log
            if told["event"] == "ready":
                self.ready.set_result(told)

    async def private(self) -> str:
        return f"http://127.0.0.1:{(await self.ready)['private']}"

    async def public(self) -> str:
        return f"http://127.0.0.1:{(await self.ready)['public']}"

    async def ends(self) -> int:
        """By SIGTERM; the exit code."""
        self.process.terminate()
        async with asyncio.timeout(60):
            code = await self.process.wait()
            assert self.reading is not None
            await self.reading
        return code


@asynccontextmanager
async def running(env: dict[str, str], *words: str) -> AsyncIterator[Process]:
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "daemon", "run", *words,
        env=env, stdin=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE, limit=1 << 20,
    )  # fmt: skip
    made = Process(child)
    made.reading = asyncio.create_task(made.read())
    try:
        async with asyncio.timeout(60):
            await asyncio.wait([made.ready, made.reading], return_when=asyncio.FIRST_COMPLETED)
        assert made.ready.done(), made.log
        yield made
    finally:
        if child.returncode is None:
            child.kill()
            await child.wait()
        await asyncio.gather(made.reading, return_exceptions=True)


@dataclass
class Place:
    """What the processes share."""

    env: dict[str, str]
    rules: Path
    letters: Letters
    redis_url: str
    database: str


@pytest.fixture
async def place(database: str, redis_url: str, open_folder: Path, unused_tcp_port_factory: Any) -> AsyncIterator[Place]:
    rules = open_folder / "rules"
    rules.mkdir()
    (rules / "shops.yaml").write_text(SHOPS.format(holdout="0%"))
    (rules / "main.yaml").write_text(POLICY)
    letters = Letters()
    post = Controller(letters, hostname="127.0.0.1", port=unused_tcp_port_factory())
    post.start()
    env = surroundings(
        database_url=database, redis_url=redis_url, data_dir=str(open_folder / "data"), rules_dir=str(rules),
        listen="127.0.0.1:0", private_listen="127.0.0.1:0", public_base_url="http://127.0.0.1:1", clock="stepped",
        smtp_host="127.0.0.1", smtp_port=str(post.port), smtp_tls="none", secret="s" * 40, pepper="p" * 40,
        log_format="json", log_level="debug",
    )  # fmt: skip
    yield Place(env, rules, letters, redis_url, database)
    post.stop()


class Shop:
    """Posts signed events, and moves the clock."""

    def __init__(self, http: aiohttp.ClientSession, public: str, private: str) -> None:
        self.http, self.public, self.private = http, public, private
        self.number = 0

    async def posts(
        self, kind: str, at: datetime, data: dict[str, Any], *, key: str = "MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    ) -> int:
        self.number += 1
        body = json.dumps({"type": kind, "timestamp": at.isoformat(), "data": data})
        name, now = f"event-{self.number}", machine_now()
        headers = {
            "webhook-id": name,
            "webhook-timestamp": str(int(now.timestamp())),
            "webhook-signature": Webhook(key).sign(name, now, body),
        }
        async with self.http.post(f"{self.public}/hooks/shop/main", data=body, headers=headers) as answer:
            assert "leak.test" not in await answer.text()
            return answer.status

    async def passes(self, to: datetime) -> None:
        """Instant by instant, as far as `to`."""
        async with asyncio.timeout(60):
            while True:
                async with self.http.get(f"{self.private}/clock?finished=1") as answer:
                    told = await answer.json()
                assert told["finished"]
                if told["now"] == to.isoformat():
                    return
                following = datetime.fromisoformat(told["next"]) if told["next"] else to
                async with self.http.post(f"{self.private}/clock", json={"to": min(following, to).isoformat()}):
                    pass


def cart(ref: str, email: str, at: datetime) -> dict[str, Any]:
    consents = [
        {"purpose": word, "state": "confirmed", "at": at.isoformat(), "source": "form", "evidence": "box 1"}
        for word in ("email_mkt", "track_open", "track_click")
    ]
    customer = {"ref": ref, "email": email, "first_name": "Canary", "locale": "en", "consents": consents}
    line = {
        "product_ref": "A",
        "name": "Boots",
        "quantity": 1,
        "unit_price": "79.90",
        "product_url": "https://shop.example/p",
    }
    return {"ref": ref, "currency": "EUR", "customer": customer, "lines": [line]}


async def degraded(http: aiohttp.ClientSession, private: str, *, expected: bool) -> str:
    """Soon; what it says then."""
    async with asyncio.timeout(60):
        while True:
            async with http.get(f"{private}/readyz") as answer:
                told = await answer.json()
                assert answer.status == 200
            if (told["status"] == "degraded") == expected:
                return str(told)
            await asyncio.sleep(0.05)


async def keys_of(url: str) -> str:
    client = redis.asyncio.Redis.from_url(url)
    keys = [key async for key in client.scan_iter()]
    held = [await client.dump(key) for key in keys]
    await client.aclose()
    return repr(keys) + repr(held)


async def test_web_and_worker_apart_tell_a_whole_story_and_no_address_leaks(place):
    place.letters.refuse[REFUSED] = f"550 5.1.1 <{REFUSED}>: no such mailbox, said {CANARY}"
    async with (
        running(place.env, "--only", "web") as web,
        running(place.env, "--only", "worker") as worker,
        aiohttp.ClientSession() as http,
    ):
        shop = Shop(http, await web.public(), await worker.private())
        db = await asyncpg.connect(place.database)
        await db.execute("UPDATE clock SET base_shop = $1, base_real = clock_timestamp(), speed = 0", START)
        seen = [await keys_of(place.redis_url)]

        # A cart is pushed to one process, and the mail leaves from the other.
        assert await shop.posts("cart.updated", START, cart("c1", CANARY, START)) == 202
        assert await shop.posts("cart.updated", START, cart("c2", REFUSED, START)) == 202
        bad = cart("c3", CANARY, START) | {"lines": [{"name": CANARY}]}
        assert await shop.posts("cart.updated", START, bad) == 422
        assert await shop.posts("cart.updated", START, cart("c4", CANARY, START), key="A" * 32) == 401
        seen.append(await keys_of(place.redis_url))
        await shop.passes(START + timedelta(hours=1))
        [mail] = place.letters.of(CANARY)
        links = dict(re.findall(r"/([cou])/([A-Za-z0-9_-]{40})", mail.get_body(("html",)).get_content()))
        seen.append(await keys_of(place.redis_url))

        # She follows the link and unsubscribes; strange requests are answered too.
        for path in (f"/c/{links['c']}", f"/c/{CANARY}", f"/u/{CANARY}", f"/o/{CANARY}.gif", f"/{CANARY}"):
            async with http.get(shop.public + path, allow_redirects=False) as answer:
                assert CANARY.encode() not in await answer.read()
        token = links["u"]
        async with http.post(f"{shop.public}/u/{token}", data={"List-Unsubscribe": "One-Click"}) as answer:
            assert answer.status == 200
        await shop.passes(START + timedelta(hours=30))
        assert len(place.letters.of(CANARY)) == 1
        ends = await db.fetch("SELECT coalesce(end_reason, 'open') FROM recovery ORDER BY id")
        assert sorted(row[0] for row in ends) == ["open", "unsubscribed"]

        # A rule file breaks, names her, and is mended; SIGHUP asks for another look.
        (place.rules / "other.yaml").write_text(f"extends: default\nshops: [{CANARY}]\n")
        said = [await degraded(http, await one.private(), expected=True) for one in (web, worker)]
        (place.rules / "other.yaml").unlink()
        said += [await degraded(http, await one.private(), expected=False) for one in (web, worker)]
        worker.process.send_signal(signal.SIGHUP)

        figures = []
        for one in (web, worker):
            async with http.get(f"{await one.private()}/metrics") as answer:
                figures.append(await answer.text())
        commands = [
            await type_in(*words, env=place.env) for words in (["why", "c1", "--full"], ["report", "--each", "--json"])
        ]
        assert [(one.code, one.err) for one in commands] == [(0, ""), (0, "")]
        assert [await worker.ends(), await web.ends()] == [0, 0]
        await db.close()
    logs = "".join(web.log + worker.log)
    for word in ("kept", "enrolled", "decided", "prepared", "claimed", "sent", "recorded", "tracked", "stopped"):
        assert f'"event": "{word}"' in logs, word
    everything = logs + "".join(seen + said + figures + [one.out for one in commands])
    assert "leak.test" not in everything
    assert token not in everything


async def test_without_redis_the_worker_does_all_the_same(place, unused_tcp_port):
    env = {**place.env, "TILLBELL_REDIS_URL": f"redis://127.0.0.1:{unused_tcp_port}"}
    async with running(env) as daemon, aiohttp.ClientSession() as http:
        shop = Shop(http, await daemon.public(), await daemon.private())
        db = await asyncpg.connect(place.database)
        await db.execute("UPDATE clock SET base_shop = $1, base_real = clock_timestamp(), speed = 0", START)
        await db.close()
        assert await shop.posts("cart.updated", START, cart("c1", CANARY, START)) == 202
        await shop.passes(START + timedelta(hours=1))
        assert len(place.letters.of(CANARY)) == 1
        assert await daemon.ends() == 0


async def test_a_second_daemon_on_the_same_data_folder_is_refused(place):
    """With embedded servers: a folder has one owner."""
    own = {name: value for name, value in place.env.items() if name != "TILLBELL_REDIS_URL"}
    async with running(own) as first:
        refused = await type_in("run", env=own)
        assert refused.code == 78
        assert f"are already run by process {first.process.pid}" in refused.err
        assert "TILLBELL_DATA_DIR" in refused.err
        assert "Traceback" not in refused.err
        beside = await type_in("status", "--json", env=own)
        assert beside.code == 0
        assert await first.ends() == 0
