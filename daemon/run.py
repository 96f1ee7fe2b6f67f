"""`tillbell run`: web, worker and bell until a signal says stop; then what is under way is brought home."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, Literal

import structlog
from watchfiles import awatch

from daemon import metrics
from daemon.bell import Bell, answer_rings, refuse_evicting
from daemon.clock import monotonic
from daemon.context import Context
from daemon.doctor.pulse import Pulse
from daemon.errors import ConfigurationError
from daemon.flow import deliver, letterbox
from daemon.flow.vigil import Vigil
from daemon.house import house, own_version, servers_of, take_rules
from daemon.logs import told
from daemon.parts import Parts
from daemon.settings import Settings
from daemon.store import shops
from daemon.web.serve import Served, serve
from daemon.worker import Runner

log = structlog.get_logger()

Part = Literal["all", "web", "worker"]
BEAT = 10.0
SOON = 1.0
STEP = 250
"""Milliseconds between two looks for changed files."""
LOOK = 0.1
"""Seconds between two looks at the event loop's lag."""


async def run(settings: Settings, only: Part = "all") -> None:
    """Returns when SIGTERM or SIGINT came and all is drained."""
    async with servers_of(settings, share=False) as servers, house(settings, servers.database_url) as context:
        stop_on_signal(context)
        await refuse_evicting(servers.redis_url)
        async with running(context, servers.redis_url, only) as served:
            gc.freeze()  # what start-up made stays for good: no collection has to look at it again
            log.info("ready", public=served.public_port, private=served.private_port, only=only)
            await context.stopping.wait()
            log.info("stopping", drain=str(settings.drain))
        if context.ends_because:
            raise ConfigurationError(context.ends_because)


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
    vigil = Vigil(context, only, own_version(), served.journal_lines)
    context.reasons.append(vigil.reasons)
    parts: Parts | None = None
    try:
        await vigil.beat()  # before anything could be claimed
        context.may_claim = vigil.may_claim
        parts = Parts(context, {"pulse": pulse.keep, **dict(_parts(context, runner, bell, redis_url, vigil))})
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
        if parts is not None:
            await parts.stop()
        if listener is not None:
            await listener.close()
        await served.close()
        await bell.close()
        await shops.leave(context.pool, context.process)


def _parts(
    context: Context, runner: Runner | None, bell: Bell, redis_url: str, vigil: Vigil
) -> Iterable[tuple[str, Callable[[], Coroutine[Any, Any, None]]]]:
    yield "bell", bell.loop
    yield "heartbeat", partial(beats, context, vigil)
    yield "rules", partial(keep_rules, context)
    yield "lag", watch_lag
    if runner is not None and redis_url:
        yield "rings", partial(answer_rings, context, runner, redis_url)


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
            async for _ in awatch(context.settings.rules_dir, step=STEP, stop_event=context.stopping):
                await reload(context)
        except Exception as error:
            log.warning("rules", problem=told(error), note="changes of the files are not followed for now")
            await asyncio.sleep(BEAT)


async def beats(context: Context, vigil: Vigil) -> None:
    """This process is alive, and says what its journal still holds."""
    while True:
        lines, pause = vigil.journal_lines(), BEAT
        await asyncio.sleep(SOON if lines else pause)
        try:
            await vigil.beat()
        except ConfigurationError:
            raise
        except Exception as error:
            context.trouble(error)
            log.warning("heartbeat", problem=told(error))
            await asyncio.sleep(SOON)


async def watch_lag() -> None:
    """How late this process comes to what is due in it."""
    while True:
        began = monotonic()
        await asyncio.sleep(LOOK)
        metrics.loop_lag.observe(max(0.0, monotonic() - began - LOOK))
