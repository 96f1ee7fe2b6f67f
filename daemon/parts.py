"""The parts of one process that run beside each other: none of them dies unnoticed."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping

import structlog

from daemon import metrics
from daemon.clock import monotonic
from daemon.context import Context
from daemon.errors import ConfigurationError
from daemon.logs import told

log = structlog.get_logger()

FIRST_PAUSE = 1.0
LONGEST_PAUSE = 60.0
WELL_AFTER = 60.0
"""Seconds after which a part that ends is begun again as soon as the first time."""

Part = Callable[[], Awaitable[None]]


class Parts:
    """Parts by name, each until the process stops. One that fails or ends is begun again, later each time, and the log,
    the metrics and /readyz say so. A ConfigurationError ends the process: no beginning again would mend it."""

    def __init__(self, context: Context, parts: Mapping[str, Part]) -> None:
        self.context = context
        self.resting: dict[str, str] = {}
        """Parts that do not run right now, with their last words."""
        context.reasons.append(lambda: (f"{name} does not run: {last}" for name, last in self.resting.items()))
        self.tasks = [asyncio.create_task(self._keep(name, part), name=name) for name, part in parts.items()]

    async def stop(self) -> None:
        """Returns when none runs any more."""
        for task in self.tasks:
            task.cancel()
        await asyncio.gather(*self.tasks, return_exceptions=True)

    async def _keep(self, name: str, part: Part) -> None:
        pause = FIRST_PAUSE
        while True:
            began = monotonic()
            last = await self._once(name, part)
            if self.context.stopping.is_set():
                return
            if monotonic() - began > WELL_AFTER:
                pause = FIRST_PAUSE
            metrics.parts_begun_again.labels(name).inc()
            log.error("part", name=name, problem=last, again_in=pause)
            self.resting[name] = last
            await asyncio.sleep(pause)
            pause = min(2 * pause, LONGEST_PAUSE)
            self.resting.pop(name, None)

    async def _once(self, name: str, part: Part) -> str:
        """Why it ended."""
        try:
            await part()
        except ConfigurationError as error:
            self.context.give_up(str(error))
            return str(error)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            return "it was cancelled from inside"
        except Exception as error:
            log.error("part", name=name, exc_info=True)
            return told(error)
        return "it ended by itself"
