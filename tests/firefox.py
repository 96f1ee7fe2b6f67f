"""Firefox without a window, driven over Marionette, with its push service on this machine."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

PREFS = {
    "dom.push.serverURL": "ws://127.0.0.1:{push}/",
    "dom.push.testing.allowInsecureServerURL": True,
    "dom.push.connection.enabled": True,
    "permissions.default.desktop-notification": 1,
    "marionette.port": "{marionette}",
    "alerts.useSystemBackend": False,
    "browser.shell.checkDefaultBrowser": False,
    "datareporting.policy.dataSubmissionEnabled": False,
    "toolkit.telemetry.reportingpolicy.firstRun": False,
    "app.update.enabled": False,
    "network.captive-portal-service.enabled": False,
    "network.connectivity-service.enabled": False,
    "browser.startup.homepage": "about:blank",
    "startup.homepage_welcome_url": "",
    "browser.safebrowsing.update.enabled": False,
    "services.settings.server": "http://127.0.0.1:1/",
}


class Marionette:
    """As much of Firefox's remote protocol as is needed: `length:[0, id, command, parameters]`."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer, self.number = reader, writer, 0

    async def hears(self) -> Any:
        length = int((await self.reader.readuntil(b":"))[:-1])
        return json.loads(await self.reader.readexactly(length))

    async def does(self, command: str, **words: Any) -> Any:
        self.number += 1
        told = json.dumps([0, self.number, command, words]).encode()
        self.writer.write(str(len(told)).encode() + b":" + told)
        _, _, error, found = await self.hears()
        assert error is None, error
        return found

    async def runs(self, script: str, *values: Any) -> Any:
        """In the page; the script calls its last argument when it is done."""
        return (await self.does("WebDriver:ExecuteAsyncScript", script=script, args=values))["value"]

    async def goes(self, url: str) -> None:
        await self.does("WebDriver:Navigate", url=url)

    async def inside(self, script: str, *values: Any) -> Any:
        """In the browser itself, with its rights; the script returns its answer."""
        await self.does("Marionette:SetContext", value="chrome")
        try:
            return (await self.does("WebDriver:ExecuteScript", script=script, args=values))["value"]
        finally:
            await self.does("Marionette:SetContext", value="content")


@asynccontextmanager
async def firefox(program: str, folder: Path, *, push: int, marionette: int) -> AsyncIterator[Marionette]:
    """With a profile in `folder`; `push` is the port of its push service."""
    ports = {"push": push, "marionette": marionette}
    lines = []
    for name, value in PREFS.items():
        said = value.format(**ports) if isinstance(value, str) else value
        lines.append(f"user_pref({json.dumps(name)}, {said if name == 'marionette.port' else json.dumps(said)});")
    (folder / "user.js").write_text("\n".join(lines))
    process = await asyncio.create_subprocess_exec(
        program, "--headless", "--marionette", "--remote-allow-system-access", "--no-remote",
        "--profile", str(folder), "about:blank",
        stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL, env={"HOME": str(folder)},
    )  # fmt: skip
    try:
        async with asyncio.timeout(120):
            reader, writer = await connected(marionette)
            driver = Marionette(reader, writer)
            await driver.hears()
            await driver.does("WebDriver:NewSession")
            await driver.does("WebDriver:SetTimeouts", script=60000)
        yield driver
        writer.close()
    finally:
        process.kill()
        await process.wait()


async def connected(port: int) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    while True:
        try:
            return await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.1)
