"""The real tillbell as a child process with its own servers and settings, spoken to by HTTP and read by its log."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Any

from aiohttp import ClientError, ClientSession, ClientTimeout, DummyCookieJar

from daemon.clock import monotonic
from daemon.embedded.process import end_with_parent
from daemon.errors import TemporaryError

COMMAND = (sys.executable, "-m", "daemon")
START_PATIENCE = 120.0
"""Seconds until it can serve: its first start makes a database."""
STOP_PATIENCE = 45.0
"""Seconds for it to bring home what is under way."""
INSTANT_PATIENCE = 120.0
"""Seconds for one instant of the stepped clock to be finished."""
LONGEST_LINE = 1024 * 1024
Listener = Callable[[Mapping[str, Any]], None]


class NotFinished(TemporaryError):
    """The daemon did not come to rest at an instant of its clock."""


@dataclass(frozen=True, slots=True)
class Instant:
    """Where the stepped clock stands, and when something is due next; None: never, as things are."""

    now: datetime
    next: datetime | None


@dataclass(slots=True)
class Daemon:
    """`settings` are TILLBELL_* and what the rule files ask for; the addresses are those of its two listeners."""

    settings: Mapping[str, str]
    public_url: str
    private_url: str
    log: Path
    listener: Listener = field(default=lambda _: None)
    last_words: deque[str] = field(default_factory=lambda: deque(maxlen=12))
    problems: int = 0
    """Lines of its log that are errors."""
    _process: asyncio.subprocess.Process | None = None
    _reading: asyncio.Task[None] | None = None
    _session: ClientSession | None = None

    async def start(self) -> None:
        """Returns when it can serve. Raises TemporaryError with its last words when it ends before."""
        self._process = await asyncio.create_subprocess_exec(
            *COMMAND,
            "run",
            env=self.environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            limit=LONGEST_LINE,
            start_new_session=True,
            preexec_fn=end_with_parent(os.getpid(), signal.SIGTERM),
        )
        self._reading = asyncio.create_task(self._listen())
        self._session = ClientSession(cookie_jar=DummyCookieJar(), timeout=ClientTimeout(total=INSTANT_PATIENCE))
        until = monotonic() + START_PATIENCE
        while not await self._ready():
            if self._process.returncode is not None or monotonic() > until:
                await self.stop()
                raise TemporaryError("tillbell did not start:\n" + "\n".join(self.last_words))
            await asyncio.sleep(0.1)

    async def stop(self) -> int:
        """SIGTERM, and wait until all is brought home. Its exit code."""
        if self._session is not None:
            await self._session.close()
        process = self._process
        if process is None:
            return 0
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(STOP_PATIENCE):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        if self._reading is not None:
            await self._reading
        return process.returncode or 0

    def environment(self) -> dict[str, str]:
        """Ours without the settings of any other tillbell."""
        inherited = {name: value for name, value in os.environ.items() if not name.startswith("TILLBELL_")}
        return {**inherited, **self.settings}

    async def finished(self) -> Instant:
        """Wait until all that is due at this instant is done. Raises NotFinished."""
        until = monotonic() + INSTANT_PATIENCE
        while monotonic() < until:
            told = await self._ask("GET", "/clock?finished=1")
            instant = _instant(told)
            if told["finished"] and (instant.next is None or instant.next > instant.now):
                return instant
            if told["finished"]:
                await asyncio.sleep(0.02)  # something rests for a moment of machine time, such as a mail to be retried
        raise NotFinished(f"tillbell did not come to rest within {INSTANT_PATIENCE:g} s; its log is {self.log}")

    async def jump(self, to: datetime) -> None:
        """Shop time is `to` from now on."""
        await self._ask("POST", "/clock", {"to": to.isoformat()})

    async def tell(self, *words: str) -> Any:
        """What a command of the command line prints with --json, beside the running daemon."""
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            *words,
            "--json",
            env=self.environment(),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
        )
        out, err = await process.communicate()
        if process.returncode not in (0, 1):
            raise TemporaryError(f"tillbell {' '.join(words)} ended with {process.returncode}: {err.decode()[-2000:]}")
        return json.loads(out)

    async def _ready(self) -> bool:
        assert self._session is not None
        try:
            async with self._session.get(f"{self.private_url}/readyz") as answer:
                return answer.status == 200
        except (ClientError, OSError):
            return False

    async def _ask(self, method: str, path: str, body: Mapping[str, str] | None = None) -> dict[str, Any]:
        assert self._session is not None
        assert self._process is not None
        try:
            async with self._session.request(method, self.private_url + path, json=body) as answer:
                if answer.status != 200:
                    raise TemporaryError(f"{method} {path} answered {answer.status}: {(await answer.text())[:500]}")
                told: dict[str, Any] = await answer.json()
                return told
        except (ClientError, OSError) as error:
            words = "\n".join(self.last_words)
            raise TemporaryError(f"tillbell does not answer ({error!r}); its last words:\n{words}") from error

    async def _listen(self) -> None:
        assert self._process is not None
        assert self._process.stdout is not None
        with self.log.open("a", encoding="utf-8") as kept:
            async for raw in self._process.stdout:
                line = raw.decode("utf-8", "replace").rstrip()
                kept.write(line + "\n")
                self.last_words.append(line)
                told = _told(line)
                self.problems += told.get("level") in ("error", "critical")
                self.listener(told)


def settings(
    folder: Path, ports: Sequence[int], smtp_port: int, seed: int, poll_every: str, extra: Mapping[str, str]
) -> dict[str, str]:
    """Of a demo whose data and rules are in `folder`. `ports`: of the public and of the private listener."""
    public, private = ports
    return {
        "TILLBELL_DATA_DIR": str(folder / "data"),
        "TILLBELL_RULES_DIR": str(folder / "rules.d"),
        "TILLBELL_LISTEN": f"127.0.0.1:{public}",
        "TILLBELL_PRIVATE_LISTEN": f"127.0.0.1:{private}",
        "TILLBELL_PUBLIC_BASE_URL": f"http://127.0.0.1:{public}",
        "TILLBELL_SMTP_HOST": "127.0.0.1",
        "TILLBELL_SMTP_PORT": str(smtp_port),
        "TILLBELL_SMTP_TLS": "none",
        "TILLBELL_SMTP_HELO": "demo.localhost",
        "TILLBELL_CLOCK": "stepped",
        "TILLBELL_SEED": str(seed),
        "TILLBELL_POLL_EVERY": poll_every,
        "TILLBELL_LOG_FORMAT": "json",
        **extra,
    }


def _instant(told: Mapping[str, Any]) -> Instant:
    following = told["next"]
    return Instant(datetime.fromisoformat(told["now"]), datetime.fromisoformat(following) if following else None)


def _told(line: str) -> dict[str, Any]:
    try:
        told = json.loads(line)
    except ValueError:
        return {"event": line}
    return told if isinstance(told, dict) else {"event": line}
