"""Group commit without a timer: what is submitted while the last group is written forms the next group."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, TypeVar

from daemon import metrics
from daemon.store.database import is_transient

T = TypeVar("T")
R = TypeVar("R")

Write = Callable[[Sequence[T]], Awaitable[Sequence[R]]]
"""Makes a group durable and says one result for each item, in their order."""


class Full(Exception):
    """Too much is waiting to be written: answer 503 with Retry-After."""

    retry_after = 1
    """Seconds."""


class Batcher(Generic[T, R]):
    """Each `submit` returns when its item is durable. It lives in one event loop and needs no start.

    A server that is away fails the whole group, each submitter with that error. Any other error is somebody's fault:
    the group is halved until only the culprit fails, so a `write` that raised must have written nothing (one
    transaction).
    """

    def __init__(
        self,
        name: str,
        write: Write[T, R],
        *,
        waiting: int = 10_000,
        group: int = 500,
    ) -> None:
        self.name = name
        self.write = write
        self.waiting = waiting
        self.group = group
        self.queue: deque[tuple[T, asyncio.Future[R]]] = deque()
        self.writer: asyncio.Task[None] | None = None
        self.closed = False
        self.size = metrics.batch_size.labels(name)

    async def submit(self, item: T) -> R:
        """What `write` said of this item, after it is durable. Raises `Full`, or the error that refused it."""
        if self.closed or len(self.queue) >= self.waiting:
            raise Full(self.name)
        future: asyncio.Future[R] = asyncio.get_running_loop().create_future()
        self.queue.append((item, future))
        if self.writer is None:
            self.writer = asyncio.create_task(self._drain(), name=f"batcher {self.name}")
        return await future

    async def close(self) -> None:
        """Take nothing more; return when all that was taken has its answer."""
        self.closed = True
        if self.writer is not None:
            await self.writer

    async def _drain(self) -> None:
        try:
            while self.queue:
                taken = [self.queue.popleft() for _ in range(min(self.group, len(self.queue)))]
                self.size.observe(len(taken))
                await self._settle(taken)
        finally:
            self.writer = None
            for _, future in self.queue:  # only when we were cancelled: nobody may wait for ever
                future.cancel()
            self.queue.clear()

    async def _settle(self, taken: Sequence[tuple[T, asyncio.Future[R]]]) -> None:
        try:
            results = await self.write([item for item, _ in taken])
        except Exception as error:
            if len(taken) == 1 or is_transient(error):
                for _, future in taken:
                    if not future.done():
                        future.set_exception(error)
                return
            half = len(taken) // 2
            await self._settle(taken[:half])
            await self._settle(taken[half:])
            return
        for (_, future), result in zip(taken, results, strict=True):
            if not future.done():  # its submitter may have gone
                future.set_result(result)
