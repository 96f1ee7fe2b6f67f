"""`tillbell run`: web, worker and bell until a signal says stop; then what is under way is brought home."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Coroutine, Iterable
from contextlib import asynccontextmanager
from typing import Any, Literal

import structlog
from watchfiles import awatch

from daemon.bell import Bell, answer_rings
from daemon.context import Context
from daemon.doctor.pulse import Pulse
from daemon.flow import deliver, letterbox
from daemon.house import house, own_version, servers_of, take_rules
from daemon.settings import Settings
from daemon.store import shops
from daemon.store.database import is_transient
from daemon.web.serve import Served, serve
from daemon.worker import Runner

log = structlog.get_logger()

Part = Literal["all", "web", "worker"]
BEAT = 10.0
SOON = 1.0


async def run(settings: Settings, only: Part = "all") -> None:
    """Returns when SIGTERM or SIGINT came and all is drained."""
    async with servers_of(settings, share=False) as servers, house(settings, servers.database_url) as context:
        stop_on_signal(context)
        async with running(context, servers.redis_url, only) as served:
            gc.freeze()  # what start-up made stays for good: no collection has to look at it again
            log.info("ready", public=served.public_port, private=served.private_port, only=only)
            await context.stopping.wait()
            log.info("stopping", drain=str(settings.drain))


@asynccontextmanager
async def running(context: Context, redis_url: str, only: Part = "all") -> AsyncIterator[Served]:
    """All parts of one process at work; leaving it stops claiming, drains and closes."""
    runner = Runner(context) if only != "web" else None
    bell = Bell(context, runner, redis_url)
    if runner is not None:
        context.idle = lambda: not runner.running and not any(one.under_way for one in context.deliveries.values())
    served = await serve(context, public=only != "worker")
    listener = await letterbox.listen(context) if only != "worker" else None
    context.reasons.append(lambda: (f"rules: {mistake}" for mistake in context.keeper.mistakes))
    pulse = Pulse(context)
    context.reasons.append(pulse.sentences)
    tasks = _start([pulse.keep(), *_parts(context, runner, bell, redis_url, served, only)])
    try:
        yield served
    finally:
        context.stopping.set()
        context.bell.set()
        try:
            async with asyncio.timeout(context.settings.drain.total_seconds()):
                if runner is not None:
                    await runner.rest()
                await deliver.drain(context)
        except TimeoutError:
            log.warning("stopping", drained="no", note="what is still open ends as unknown")
        await _stop(tasks)
        if listener is not None:
            await listener.close()
        await served.close()
        await bell.close()
        await shops.leave(context.pool, context.process)


def _parts(
    context: Context, runner: Runner | None, bell: Bell, redis_url: str, served: Served, only: Part
) -> Iterable[Coroutine[Any, Any, None]]:
    yield bell.loop()
    yield beats(context, served, only)
    yield keep_rules(context)
    if runner is not None and redis_url:
        yield answer_rings(context, runner, redis_url)


def _start(parts: Iterable[Coroutine[Any, Any, None]]) -> list[asyncio.Task[None]]:
    return [asyncio.create_task(part) for part in parts]


async def _stop(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def stop_on_signal(context: Context) -> None:
    """SIGTERM and SIGINT stop; SIGHUP reads the rules again."""
    loop = asyncio.get_running_loop()

    def stop() -> None:
        context.stopping.set()
        context.bell.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop)
    loop.add_signal_handler(signal.SIGHUP, lambda: loop.create_task(reload(context)))


async def reload(context: Context) -> None:
    """A bad file never replaces a good one: the old rules stay, and the log and /readyz say why."""
    changed = await asyncio.to_thread(context.keeper.reload)
    for mistake in context.keeper.mistakes:
        log.error("rules", mistake=str(mistake))
    if changed or not context.keeper.mistakes:
        try:
            await take_rules(context)
        except Exception as error:
            log.error("rules", mistake=str(error))
            return
        log.info("rules", changed=changed, policies=len(context.keeper.book.policies))


async def keep_rules(context: Context) -> None:
    """Follow changes of the files, a swapped ConfigMap included. A folder that cannot be watched is tried again."""
    while not context.stopping.is_set():
        try:
            async for _ in awatch(context.settings.rules_dir, stop_event=context.stopping):
                await reload(context)
        except Exception as error:
            log.warning("rules", problem=repr(error), note="changes of the files are not followed for now")
            await asyncio.sleep(BEAT)


async def beats(context: Context, served: Served, only: Part) -> None:
    """This process is alive, and says what its journal still holds."""
    while True:
        lines, pause = served.journal_lines(), BEAT
        try:
            await shops.beat(context.pool, context.process, only, own_version(), lines)
        except Exception as error:
            context.cut_off = context.cut_off or is_transient(error)
            log.warning("heartbeat", problem=repr(error))
            pause = SOON
        await asyncio.sleep(SOON if lines else pause)
