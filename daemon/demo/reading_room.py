"""A page to read the demo's mails in: list, the mail as it looks, its text part, its head."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Self

import jinja2
from aiohttp import web

from daemon.demo.mailbox import Letter, Mailbox

PAGES = jinja2.Environment(
    loader=jinja2.FileSystemLoader(Path(__file__).parent / "pages"), autoescape=True, undefined=jinja2.StrictUndefined
)
OURS = {
    "Content-Security-Policy": "default-src 'none'; connect-src 'self'; frame-src 'self'; script-src 'self'; "
    "style-src 'unsafe-inline'; img-src 'self'; base-uri 'none'; form-action 'none'",
    "X-Content-Type-Options": "nosniff",
    "Cache-Control": "no-store",
}
THEIRS = {
    **OURS,
    "Content-Security-Policy": "sandbox allow-popups allow-popups-to-escape-sandbox; default-src 'none'; "
    "img-src http: https: data:; style-src 'unsafe-inline'; form-action 'none'",
}
"""For what came by mail: nothing in it runs. Links open in a window of their own."""


class ReadingRoom:
    """Serves the page on this machine; `url` is its address afterwards."""

    def __init__(self, mailbox: Mailbox, port: int = 0) -> None:
        self.mailbox = mailbox
        self.port = port
        self.url = ""
        self._runner: web.AppRunner | None = None

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.add_routes(
            [
                web.get("/", self.page),
                web.get("/reading.js", self.script),
                web.get("/letters", self.letters),
                web.get("/letters/{number}", self.letter),
                web.get("/letters/{number}/html", self.html),
            ]
        )
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", self.port).start()
        self.url = f"http://127.0.0.1:{self._runner.addresses[0][1]}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._runner is not None:
            await self._runner.cleanup()

    async def page(self, _: web.Request) -> web.Response:
        return web.Response(text=PAGES.get_template("mailbox.html").render(), content_type="text/html", headers=OURS)

    async def script(self, _: web.Request) -> web.Response:
        path = Path(__file__).parent / "pages" / "reading.js"
        return web.Response(text=path.read_text("utf-8"), content_type="text/javascript", headers=OURS)

    async def letters(self, request: web.Request) -> web.Response:
        """What came after the letter numbered `after`, oldest first."""
        after = int(request.query.get("after") or 0)
        return web.json_response([_short(letter) for letter in self.mailbox.letters[after:]], headers=OURS)

    async def letter(self, request: web.Request) -> web.Response:
        letter = self._asked(request)
        head = [[name, str(value)] for name, value in letter.message.items()]
        return web.json_response({**_short(letter), "head": head, "text": letter.text}, headers=OURS)

    async def html(self, request: web.Request) -> web.Response:
        html = self._asked(request).html.replace("<head>", '<head><base target="_blank">', 1)
        return web.Response(text=html, content_type="text/html", headers=THEIRS)

    def _asked(self, request: web.Request) -> Letter:
        number = request.match_info["number"]
        if not number.isdigit() or not 1 <= int(number) <= len(self.mailbox.letters):
            raise web.HTTPNotFound(text="no letter of this number")
        return self.mailbox.letters[int(number) - 1]


def _short(letter: Letter) -> dict[str, Any]:
    return {
        "number": letter.number,
        "at": letter.at.isoformat(),
        "to": letter.recipient,
        "subject": letter.subject,
        "step": letter.step,
        "sender": str(letter.message["From"]),
    }
