"""What every answer tells a browser not to do with it."""

from __future__ import annotations

import aiohttp
import pytest

from daemon.web.serve import serve
from tests.letters import make_context

PATHS = ("/o/x.gif", "/c/x", "/u/x", "/hooks/shop/none", "/none")


@pytest.mark.parametrize("path", PATHS)
async def test_every_answer_is_dressed(site, path):
    for method in ("GET", "POST", "HEAD", "PUT"):
        _, response, text = await site.ask(method, path, headers={"Origin": "https://canary.example"})
        headers = response.headers
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Referrer-Policy"] == "no-referrer"
        assert "no-store" in headers["Cache-Control"]
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert headers["Server"] == "tillbell"
        assert "Strict-Transport-Security" not in headers
        assert "Set-Cookie" not in headers
        assert "canary" not in text + str(headers)


async def test_the_operators_pages_are_dressed_too(site):
    for path in ("/healthz", "/readyz", "/metrics", "/none"):
        async with site.operator.get(path) as answer:
            assert answer.headers["X-Content-Type-Options"] == "nosniff"
            assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


async def test_behind_https_browsers_are_told_to_stay_there(database, tmp_path):
    context = await make_context(database, tmp_path, public_base_url="https://t.shop.example")
    served = await serve(context)
    try:
        async with (
            aiohttp.ClientSession() as http,
            http.get(f"http://127.0.0.1:{served.public_port}/u/x") as answer,
        ):
            assert answer.headers["Strict-Transport-Security"].startswith("max-age=")
    finally:
        await served.close()
        await context.pool.close()
