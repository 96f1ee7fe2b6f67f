"""GET /sdk.js and GET /sw.js: the script that the shop's pages carry, and its service worker."""

from __future__ import annotations

import gzip
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
    small = gzip.compress(body, mtime=0)
    etag = hashlib.sha256(body).hexdigest()[:32]
    everybody = {
        **headers,
        "Access-Control-Allow-Origin": "*",
        "Cross-Origin-Resource-Policy": "cross-origin",
        "X-Content-Type-Options": "nosniff",
        "Vary": "Accept-Encoding",
    }

    async def answer(request: web.Request) -> web.Response:
        packed = takes_gzip(request.headers.get("Accept-Encoding", ""))
        mark = f"{etag}-gz" if packed else etag  # RFC 9110, 8.8.3.3: each encoding has a mark of its own
        told = {**everybody, "ETag": f'"{mark}"'}
        if any(tag.value == mark for tag in request.if_none_match or ()):
            return web.Response(status=304, headers=told)
        if not packed:
            return web.Response(body=body, content_type="text/javascript", charset="utf-8", headers=told)
        told["Content-Encoding"] = "gzip"
        return web.Response(body=small, content_type="text/javascript", charset="utf-8", headers=told)

    return answer


def takes_gzip(accepted: str) -> bool:
    """Whether an Accept-Encoding field names gzip, other than to refuse it (RFC 9110, 12.5.3)."""
    for part in accepted.lower().split(","):
        name, _, weight = part.partition(";")
        if name.strip() in ("gzip", "*"):
            return weight.replace(" ", "") not in ("q=0", "q=0.0", "q=0.00", "q=0.000")
    return False
