"""Hits on disk while the database is away: appended, flushed to the disk together, replayed later, never lost.

Each process writes files of its own in one folder and holds a lock on them (flock), so whoever gets the lock of
another's file knows that its writer is dead and adopts it. A line is a checksum and JSON: what a kill cut off is not
taken for a hit. Whoever replays must bear to see a line twice.
"""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import secrets
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any
from zlib import crc32

import structlog

from daemon import metrics
from daemon.batcher import Batcher
from daemon.embedded.folder import sync_folder
from daemon.logs import told
from daemon.store.database import is_transient

Line = Mapping[str, Any]
Apply = Callable[[Sequence[Line]], Awaitable[None]]

SUFFIX = ".journal"
REFUSED = "refused.jsonl"
GROUP = 500
FILE_BYTES = 16 * 1024 * 1024
log = structlog.get_logger()


@dataclass(slots=True)
class File:
    """A file that we hold the lock of."""

    path: Path
    descriptor: int
    lines: int = 0
    size: int = 0


class Journal:
    """`lines` is how many the database does not have yet."""

    def __init__(self, folder: Path, process: str) -> None:
        self.folder = folder
        self.process = "".join(c for c in process if c.isalnum() or c in "-_")[:40]
        self.current: File | None = None
        self.sealed: list[File] = []
        self.turn = asyncio.Lock()
        self.batcher: Batcher[Line, None] = Batcher("journal", self._write)

    @property
    def lines(self) -> int:
        """Of this process, and of the dead ones that it adopted."""
        return sum(file.lines for file in self.sealed) + (self.current.lines if self.current else 0)

    async def append(self, line: Line) -> None:
        """Returns when the line is on the disk. Raises `Full` or OSError: then it is not kept."""
        await self.batcher.submit(line)
        metrics.journal_lines.set(self.lines)

    async def replay(self, apply: Apply) -> int:
        """How many lines went into the database, adopted ones included. Raises what `apply` raises when it is away."""
        async with self.turn:
            self._seal()
        self.sealed += await asyncio.to_thread(self._orphans)
        done = 0
        try:
            while self.sealed:
                done += await self._replay_file(self.sealed[0], apply)
                gone = self.sealed.pop(0)
                await asyncio.to_thread(self._forget, gone)
        finally:
            metrics.journal_lines.set(self.lines)
        return done

    async def close(self) -> None:
        """Let go of the files; what is in them is adopted by a later process."""
        await self.batcher.close()
        async with self.turn:
            self._seal()
        for file in self.sealed:
            os.close(file.descriptor)
            if file.lines == 0:
                file.path.unlink(missing_ok=True)
        self.sealed = []

    async def _write(self, lines: Sequence[Line]) -> Sequence[None]:
        async with self.turn:
            if self.current is not None and self.current.size >= FILE_BYTES:
                self._seal()
            try:
                await asyncio.to_thread(self._append, b"".join(map(encoded, lines)))
            except BaseException:
                self._seal()  # half a line may be in it: nothing good must come behind that
                raise
            assert self.current is not None
            self.current.lines += len(lines)
            return [None] * len(lines)

    def _append(self, data: bytes) -> None:
        if self.current is None:
            self.current = self._new_file()
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(self.current.descriptor, rest) :]
        os.fdatasync(self.current.descriptor)
        self.current.size += len(data)

    def _seal(self) -> None:
        if self.current is not None:
            self.sealed.append(self.current)
            self.current = None

    def _new_file(self) -> File:
        self.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        while True:
            path = self.folder / f"{self.process}-{secrets.token_hex(6)}{SUFFIX}"
            descriptor = os.open(path, os.O_CREAT | os.O_EXCL | os.O_APPEND | os.O_WRONLY, 0o600)
            if _locked(path, descriptor):
                sync_folder(self.folder)
                return File(path, descriptor)
            os.close(descriptor)

    def _orphans(self) -> list[File]:
        mine = {file.path for file in self.sealed} | ({self.current.path} if self.current else set())
        found = []
        for path in sorted(self.folder.glob(f"*{SUFFIX}")):
            if path in mine:
                continue
            try:
                descriptor = os.open(path, os.O_RDONLY)
            except FileNotFoundError:
                continue
            if _locked(path, descriptor):
                found.append(File(path, descriptor, lines=sum(1 for _ in decoded(path))))
                log.info("journal adopted", file=path.name, lines=found[-1].lines)
            else:
                os.close(descriptor)
        return found

    async def _replay_file(self, file: File, apply: Apply) -> int:
        done = 0
        lines = decoded(file.path)
        while group := await asyncio.to_thread(lambda: list(islice(lines, GROUP))):
            await self._apply(group, apply)
            done += len(group)
        return done

    async def _apply(self, group: Sequence[Line], apply: Apply) -> None:
        try:
            await apply(group)
        except Exception as error:
            if is_transient(error):
                raise
            if len(group) == 1:
                await asyncio.to_thread(self._refuse, group[0], error)
                return
            half = len(group) // 2
            await self._apply(group[:half], apply)
            await self._apply(group[half:], apply)

    def _refuse(self, line: Line, error: Exception) -> None:
        """Kept aside for a human: it must not stop the lines behind it."""
        metrics.journal_refused.inc()
        log.error("journal line refused", id=line.get("id"), error=told(error))
        with (self.folder / REFUSED).open("ab") as file:
            file.write(encoded(line))
            file.flush()
            os.fsync(file.fileno())

    def _forget(self, file: File) -> None:
        file.path.unlink(missing_ok=True)
        os.close(file.descriptor)
        sync_folder(self.folder)


def forget_refused(folder: Path, messages: Collection[int]) -> int:
    """How many hits of these messages were kept aside for a human in this folder, and are gone now."""
    path = folder / REFUSED
    if not path.exists():
        return 0
    lines = list(decoded(path))
    kept = [line for line in lines if line.get("message_id") not in messages]
    if len(kept) < len(lines):
        fresh = path.with_suffix(".new")
        fresh.write_bytes(b"".join(map(encoded, kept)))
        fresh.replace(path)
    return len(lines) - len(kept)


def encoded(line: Line) -> bytes:
    """One line with its checksum."""
    text = json.dumps(line, separators=(",", ":")).encode()
    return b"%08x %s\n" % (crc32(text), text)


def decoded(path: Path) -> Iterator[dict[str, Any]]:
    """The lines of a file that are whole."""
    with path.open("rb") as file:
        for raw in file:
            checksum, _, text = raw.rstrip(b"\n").partition(b" ")
            if raw.endswith(b"\n") and checksum == b"%08x" % crc32(text):
                yield json.loads(text)


def _locked(path: Path, descriptor: int) -> bool:
    """Whether we got the lock, and the file is still the one at that path."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return os.path.samestat(path.stat(), os.fstat(descriptor))
    except (BlockingIOError, FileNotFoundError):
        return False
