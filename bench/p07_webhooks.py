"""P7: pushed carts that are answered after their commit in groups, against one INSERT a cart, both by our own hook.

Each request is signed and has an id of its own (Standard Webhooks), its body one cart of 1.3 KiB. Medians over
interleaved rounds.
"""

from __future__ import annotations

import asyncio
import json
import secrets
import shutil
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from aiohttp import web
from standardwebhooks import Webhook

from bench.measured import Measured, Row
from bench.place import NOON, Place
from bench.traffic import CONNECTIONS, Run, answer, main, on, serving, under_load
from daemon.batcher import Batcher
from daemon.clock import machine_now
from daemon.context import Context
from daemon.house import house
from daemon.store import inbox
from daemon.web import hooks

MODULE = "bench.p07_webhooks"
MODES = ("group", "insert")
SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
REQUESTS = 60_000
"""Signed beforehand for a round; after that the ids come again, and are known."""
SCRIPT = """
local body = [==[{body}]==]
local requests, n = {{}}, 0
init = function()
    for line in io.lines("{signed}") do
        local id, signature = line:match("(%S+) (%S+)")
        requests[#requests + 1] = wrk.format("POST", "/hooks/shop/main", {{
            ["Content-Type"] = "application/json", ["webhook-id"] = id, ["webhook-timestamp"] = "{stamp}",
            ["webhook-signature"] = signature }}, body)
    end
end
request = function() n = n % #requests + 1 return requests[n] end
"""


async def measure(place: Place, seconds: int = 3, rounds: int = 3) -> Measured:
    """`seconds` of traffic a round and mode, 64 connections."""
    wrk = shutil.which("wrk")
    if wrk is None:
        return Measured([Row("P7", "webhooks answered after their commit", "not measured: wrk is not installed")])
    folder = place.folder / "hooks"
    await asyncio.to_thread(folder.mkdir)
    url = await place.database()
    async with place.household(url):
        pass  # the shop is put down once
    runs: dict[str, list[Run]] = {mode: [] for mode in MODES}
    for _ in range(rounds):
        for mode in MODES:
            await on(url, "TRUNCATE inbox")
            script = await asyncio.to_thread(signed, folder)
            async with serving(MODULE, mode, url, place.folder) as server:
                runs[mode].append(await under_load(place, wrk, server, script, seconds))
            if (kept := await on(url, "SELECT count(*) FROM inbox")) < min(runs[mode][-1].answered, REQUESTS):
                raise SystemExit(f"{kept} rows of {runs[mode][-1].answered} answered webhooks")
    return told({mode: Run.median(each) for mode, each in runs.items()})


def told(runs: dict[str, Run]) -> Measured:
    group, single = (runs[mode] for mode in MODES)
    what = f"their 99th percentile to that, {CONNECTIONS} connections"
    rows = [
        Row("P7", "webhooks after commit, to one INSERT each", f"{group}", group.rate / single.rate, 2.5),
        Row("P7", "one INSERT each, answered after it", f"{single}"),
        Row("P7", what, f"{group.p99:.0f} and {single.p99:.0f} ms", group.p99 / single.p99, 1.0, at_most=True),
    ]
    return Measured(rows, {f"{mode}_per_s": round(run.rate) for mode, run in runs.items()})


def signed(folder: Path) -> Path:
    """A wrk script whose requests nobody has seen yet."""
    webhook, now, body = Webhook(SECRET), machine_now(), json.dumps(event())
    run = secrets.token_hex(4)
    with (folder / "signed").open("w") as lines:
        for number in range(REQUESTS):
            name = f"{run}-{number}"
            lines.write(f"{name} {webhook.sign(name, now, body)}\n")
    script = folder / "hooks.lua"
    stamp = int(now.timestamp())
    script.write_text(SCRIPT.format(body=body, signed=folder / "signed", stamp=stamp))
    return script


def event() -> dict[str, Any]:
    """One cart of five lines."""
    customer = {"ref": "4711", "email": "ada@mail.example", "first_name": "Ada", "locale": "de-DE"}
    lines = [
        {
            "product_ref": f"A{n}",
            "name": f"Laufschuh Modell {n}, Größe 42, nachtblau",
            "quantity": 1,
            "unit_price": "49.90",
            "image_url": f"https://cdn.shop.example/images/products/A{n}.jpg",
            "product_url": f"https://shop.example/p/laufschuh-modell-{n}",
        }
        for n in range(5)
    ]
    cart = {"ref": "cart-1", "customer": customer, "currency": "EUR", "total": "249.50", "lines": lines}
    return {"type": "cart.updated", "timestamp": (NOON - timedelta(minutes=5)).isoformat(), "data": cart}


async def serve(mode: str, url: str, folder: Path) -> None:
    """One web process in this mode."""
    if mode == "insert":
        hooks.Batcher = OneByOne  # type: ignore[misc, assignment]
    place = Place(SimpleNamespace(redis_url=""), folder, folder / "rules")  # type: ignore[arg-type]  # nobody is rung for
    settings = place.settings(url)
    async with house(settings, url) as context:
        await answer(listening(context))


def listening(context: Context) -> web.Application:
    app = web.Application(client_max_size=hooks.LARGEST)
    app.add_routes(hooks.routes(context))
    return app


class OneByOne(Batcher[inbox.Delivery, None]):
    """As many groups of one at a time as there are requests."""

    async def submit(self, item: inbox.Delivery) -> None:
        await self.write([item])


if __name__ == "__main__":
    main(serve, MODES)
