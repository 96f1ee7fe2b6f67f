"""One embedded server: started until it answers, watched, stopped."""

import asyncio
import signal
import subprocess
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from daemon.embedded.account import Account
from daemon.embedded.process import last_words, spawn
from daemon.errors import TemporaryError

LOOK_EVERY = 0.1
log = structlog.get_logger()


@dataclass(slots=True)
class Server:
    name: str
    url: str
    command: Sequence[str]
    folder: Path
    account: Account | None
    stop_signal: signal.Signals
    answers: Callable[[str], Awaitable[bool]]
    restarts: int = 0
    process: subprocess.Popen[bytes] | None = field(default=None, repr=False)

    @property
    def log_file(self) -> Path:
        return self.folder / "server.log"

    async def start(self, patience: float = 60) -> None:
        """Returns when it answers. One that ends meanwhile is tried again: after a crash the last children of its
        forerunner may hold its memory for a moment."""
        deadline = asyncio.get_running_loop().time() + patience
        pause = 0.05
        while True:
            self.process = spawn(self.command, self.folder, self.log_file, self.account, self.stop_signal)
            if await self.comes_up(self.process, deadline):
                return
            await self.stop()
            if asyncio.get_running_loop().time() + pause > deadline:
                raise TemporaryError(
                    f"the embedded {self.name} does not start; {self.log_file} ends:\n{last_words(self.log_file)}"
                )
            await asyncio.sleep(pause)
            pause = min(pause * 2, 2)

    async def comes_up(self, process: subprocess.Popen[bytes], deadline: float) -> bool:
        while process.poll() is None and asyncio.get_running_loop().time() < deadline:
            if await self.answers(self.url):
                return True
            await asyncio.sleep(0.02)
        return False

    async def keep(self) -> None:
        """Start it again whenever it falls, until cancelled."""
        while True:
            await asyncio.sleep(LOOK_EVERY)
            if self.process is not None and self.process.poll() is None:
                continue
            self.restarts += 1
            log.warning("embedded server fell, starting it again", server=self.name)
            try:
                await self.start()
            except TemporaryError as error:
                log.error("embedded server stays down", server=self.name, error=str(error))

    async def stop(self, patience: float = 20) -> None:
        """Ends it in order, by force when it does not listen."""
        process, self.process = self.process, None
        if process is None or process.poll() is not None:
            return
        process.send_signal(self.stop_signal)
        try:
            async with asyncio.timeout(patience):
                await ended(process)
        except TimeoutError:
            process.kill()
            process.wait()


async def ended(process: subprocess.Popen[bytes]) -> None:
    while process.poll() is None:  # noqa: ASYNC110  the kernel sets no event
        await asyncio.sleep(0.01)
