"""A shop on this machine whose pages carry the script as docs/onsite.md says, behind a strict policy for content."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from html import escape
from typing import Any

from aiohttp import web

from daemon.clock import machine_now

KEY = "k" * 40
STYLE = """
* { box-sizing: border-box }
body { margin: 0; font: 16px/1.5 system-ui, sans-serif; color: #2b2620; background: #faf7f2 }
header { display: flex; gap: 2rem; align-items: center; padding: 1.1rem 2rem; background: #fff }
header { border-bottom: 1px solid #e8e0d4 }
header b { font-size: 1.25rem; margin-inline-end: auto }
header a { color: inherit; text-decoration: none }
main { max-width: 1080px; margin: 2rem auto; padding: 0 1.5rem }
h1 { font-size: 1.7rem; margin: 0 0 1.2rem }
ul { display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: 1.25rem; padding: 0 }
li { list-style: none; background: #fff; border-radius: 12px; overflow: hidden; border: 1px solid #eee5d8 }
li p { margin: 0; padding: .9rem 1.1rem 1.1rem }
li i { display: block; height: 11rem }
li i { background: radial-gradient(circle at 50% 30%, #fff3c9 0 18%, #f4d58a 19% 30%, #e9e2d6 31%) }
li:nth-child(3n + 2) i { background: radial-gradient(circle at 50% 42%, #fffbe8 0 14%, #c9dcd2 15% 36%, #dde7e1 37%) }
li:nth-child(3n) i { background: radial-gradient(ellipse at 50% 20%, #ffe9d6 0 20%, #d99a6c 21% 28%, #efe3d8 29%) }
"""
PAGE = """<!doctype html><html lang="{lang}"><head><meta charset="utf-8"><title>Lampen-Löwe</title>
<meta name="viewport" content="width=device-width"><link rel="icon" href="data:,">
<link rel="stylesheet" href="/shop.css"></head>
<body><header><b>Lampen-Löwe</b><a href="/lamps">{lamps}</a><a id="cart" href="/cart">{basket}</a></header>
<main><h1>{lamps}</h1><ul>{tiles}</ul></main>{data}
<script src="/consent.js"></script>
<script src="{ours}/sdk.js" data-shop="main" data-badge="{badge}" defer></script></body></html>"""
WORDS = {"de": ("Leuchten", "Warenkorb"), "en": ("Lamps", "Cart")}
LAMPS = ("Paris, 149 €", "Kupferkugel, 89 €", "Lesezeit, 119 €", "Mond, 75 €", "Atelier, 210 €", "Feierabend, 65 €")


def cart(*products: str) -> dict[str, Any]:
    lines = [{"product_ref": one, "name": f"Lampe {one}", "quantity": 1, "unit_price": "49.90"} for one in products]
    return {"currency": "EUR", "lines": lines}


def signed(**claims: Any) -> str:
    """A badge of the shop's own server."""
    told = {"shop": "main", "exp": int(machine_now().timestamp()) + 3600, **claims}
    body = base64.urlsafe_b64encode(json.dumps(told).encode()).decode().rstrip("=")
    tag = hmac.new(KEY.encode(), body.encode(), hashlib.sha256).digest()
    return f"{body}.{base64.urlsafe_b64encode(tag).decode().rstrip('=')}"


class Storefront:
    """What stands in `badge`, `tells` and `allows` is in the next page. `ours`: where the daemon is."""

    def __init__(self, port: int) -> None:
        self.url, self.port = f"http://127.0.0.1:{port}", port
        self.ours = ""
        self.badge = ""
        self.lang = "de"
        self.tells: dict[str, Any] = {}
        self.allows: dict[str, Any] | None = None
        self.runner: web.AppRunner | None = None

    async def open(self) -> None:
        app = web.Application()
        app.router.add_get("/shop.css", self.style)
        app.router.add_get("/consent.js", self.consent)
        app.router.add_get("/tillbell-sw.js", self.worker)
        app.router.add_get("/{page:.*}", self.page)
        self.runner = web.AppRunner(app, access_log=None, shutdown_timeout=1)
        await self.runner.setup()
        await web.TCPSite(self.runner, "127.0.0.1", self.port).start()

    async def close(self) -> None:
        if self.runner is not None:
            await self.runner.cleanup()

    async def style(self, request: web.Request) -> web.Response:
        return web.Response(text=STYLE, content_type="text/css")

    async def consent(self, request: web.Request) -> web.Response:
        said = json.dumps(["consent", self.allows]) if self.allows is not None else ""
        text = f"(window.tillbell = window.tillbell || []).push({said});" if said else ""
        return web.Response(text=text, content_type="text/javascript", headers={"Cache-Control": "no-store"})

    async def worker(self, request: web.Request) -> web.Response:
        return web.Response(text=f'importScripts("{self.ours}/sw.js");', content_type="text/javascript")

    async def page(self, request: web.Request) -> web.Response:
        lamps, basket = WORDS.get(self.lang, WORDS["en"])
        data = "".join(
            f'<script type="application/json" data-tillbell="{what}">{json.dumps(told)}</script>'
            for what, told in self.tells.items()
        )
        tiles = "".join(f"<li><i></i><p>{lamp}</p></li>" for lamp in LAMPS)
        text = PAGE.format(
            lang=self.lang, lamps=lamps, basket=basket, tiles=tiles, data=data, ours=self.ours, badge=escape(self.badge)
        )
        policy = (
            f"default-src 'none'; script-src 'self' {self.ours}; connect-src {self.ours}; style-src 'self'; "
            "worker-src 'self'; img-src data:"
        )
        return web.Response(text=text, content_type="text/html", headers={"Content-Security-Policy": policy})
