"""Reads request bodies of strangers: each within a size and a time, all of them within a sum."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Protocol


class BodyTooLarge(Exception):
    """More bytes than allowed."""


class BodyTooSlow(Exception):
    """It took too long, or made way for others."""


class TooManyBodies(Exception):
    """No room, and nobody who could make way."""


class Source(Protocol):
    """What aiohttp gives as request.content."""

    def iter_any(self) -> AsyncIterator[bytes]:
        """Chunks as they come."""
        ...


class Bodies:
    """When all bodies together hold too much, the one that has been coming in for longest makes way."""

    def __init__(self, largest: int, patience: float = 10.0, room: int = 32 * 1024 * 1024) -> None:
        self.largest = largest
        self.patience = patience
        self.room = room
        self.held = 0
        self.coming: dict[asyncio.Timeout, int] = {}
        """Bytes of each, oldest first."""

    @asynccontextmanager
    async def read(self, source: Source) -> AsyncIterator[bytes]:
        """The whole body, counted as held until the block ends. Raises BodyTooLarge, BodyTooSlow, TooManyBodies."""
        body = await self._read(source)
        self.held += len(body)
        try:
            yield body
        finally:
            self.held -= len(body)

    async def _read(self, source: Source) -> bytes:
        parts: list[bytes] = []
        patience = asyncio.timeout(self.patience)
        try:
            async with patience:
                self.coming[patience] = 0
                async for part in source.iter_any():
                    if patience not in self.coming:
                        raise BodyTooSlow  # it has made way, and this part was quicker than its end
                    parts.append(part)
                    self.coming[patience] += len(part)
                    self.held += len(part)
                    if self.coming[patience] > self.largest:
                        raise BodyTooLarge
                    if self.held > self.room:
                        self._make_way(patience)
        except TimeoutError:
            raise BodyTooSlow from None
        finally:
            self.held -= self.coming.pop(patience, 0)
        return b"".join(parts)

    def _make_way(self, mine: asyncio.Timeout) -> None:
        oldest = next(iter(self.coming))
        if oldest is mine:
            raise TooManyBodies
        self.held -= self.coming.pop(oldest)
        if not oldest.expired():  # else its time is over anyway
            oldest.reschedule(asyncio.get_running_loop().time())
