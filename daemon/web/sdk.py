"""GET /sdk.js and GET /sw.js: the script that the shop's pages carry, and its service worker."""

from __future__ import annotations

import hashlib
from pathlib import Path

from aiohttp import web

from daemon.web.edge import Handler

FOLDER = Path(__file__).parent / "static"
HOUR = "public, max-age=3600"
"""How long a browser uses the script without asking; then it asks by its hash."""


def routes() -> list[web.RouteDef]:
    """For the public listener."""
    return [
        web.get("/sdk.js", _file("sdk.js", {"Cache-Control": HOUR}), name="sdk"),
        # A worker is asked for anew at every update check; its scope may be the whole of the origin that serves it.
        web.get("/sw.js", _file("sw.js", {"Cache-Control": "no-cache", "Service-Worker-Allowed": "/"}), name="sw"),
    ]


def _file(name: str, headers: dict[str, str]) -> Handler:
    body = (FOLDER / name).read_bytes()
    etag = hashlib.sha256(body).hexdigest()[:32]
    everybody = {
        **headers,
        "Access-Control-Allow-Origin": "*",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "X-Content-Type-Options": "nosniff",
        "ETag": f'"{etag}"',
    }

    async def answer(request: web.Request) -> web.Response:
        if any(tag.value == etag for tag in request.if_none_match or ()):
            return web.Response(status=304, headers=everybody)
        return web.Response(body=body, content_type="text/javascript", charset="utf-8", headers=everybody)

    return answer
