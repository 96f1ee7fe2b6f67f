"""The bell: asks PostgreSQL which work of which shop is due, and rings. A lost ring costs a tick, nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable
from datetime import UTC
from typing import TYPE_CHECKING, Any, cast

import structlog
from arq import ArqRedis, create_pool
from arq.connections import RedisSettings
from arq.worker import Worker, func
from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from daemon.clock import monotonic
from daemon.context import Context
from daemon.errors import ConfigurationError
from daemon.flow.shops import ENDINGS
from daemon.logs import told
from daemon.store import clock, work
from daemon.worker import FLOW, Runner

log = structlog.get_logger()

TICK = 0.25
if TYPE_CHECKING:
    from arq.typing import WorkerCoroutine

QUEUE = "tillbell"
RUNG = "tillbell:rung"
"""A list: one entry wakes one worker that listens, which then looks into the queue."""
MOST_RUNG = 100
"""Entries kept while nobody listens."""
LOOK_EVERY = 1
"""Whole seconds after which a worker that nothing woke looks all the same: an entry may have been taken and lost."""
HEARD_WITHIN = 5.0
"""Seconds for an answer, longer than `LOOK_EVERY`: a server that vanished does not even say that it is gone."""
NEW_ID_EVERY = 5.0
"""Seconds. A job of the same id is not queued twice; one that was lost with its worker is rung anew after this."""
UNHEARD = 2.0
"""Seconds after which what was rung for and is still due is done directly."""
LONGEST_JOB = 660
"""Seconds: above the longest call of any channel. The row's lease decides, not this."""


async def refuse_evicting(redis_url: str) -> None:
    """Raises ConfigurationError for a server that throws keys away when its memory is full: rings would be lost in it
    without a word. One that does not say, or is away, is only remarked on: the work is done without it too."""
    if not redis_url:
        return
    client = Redis.from_url(redis_url, socket_timeout=2, socket_connect_timeout=2)
    try:
        policy = (await client.config_get("maxmemory-policy")).get("maxmemory-policy", "noeviction")
    except ResponseError:
        log.warning("bell", redis="does not say its maxmemory-policy", hint="it must be noeviction")
        return
    except (RedisError, OSError) as error:
        log.warning("bell", redis="away", problem=type(error).__name__)
        return
    finally:
        await client.aclose()
    if policy != "noeviction":
        raise ConfigurationError(
            f"TILLBELL_REDIS_URL: its maxmemory-policy is {policy}, so it may throw rings away; "
            "hint: set it to noeviction, or leave the setting empty for a server of our own"
        )


class Bell:
    """Rings over arq where Redis answers, and otherwise does the same work directly."""

    def __init__(self, context: Context, runner: Runner | None, redis_url: str) -> None:
        """`runner` None: this process only rings, others do the work."""
        self.context = context
        self.runner = runner
        self.redis_url = redis_url
        self.redis: ArqRedis | None = None
        self.retry_at = 0.0
        self.rung_at: dict[tuple[str, int], float] = {}
        self.looked_at = -TICK
        self.stepped = context.settings.clock == "stepped"

    async def loop(self) -> None:
        """Until the process stops: once a tick, and at once when something rings in this process."""
        while not self.context.stopping.is_set():
            try:
                await self.tick()
            except Exception as error:
                log.warning("bell", problem=told(error))
                await asyncio.sleep(TICK)
            try:
                async with asyncio.timeout_at(self._next_look()):
                    await self.context.bell.wait()
            except TimeoutError:
                pass

    def _next_look(self) -> float:
        return asyncio.get_running_loop().time() + max(0.0, self.looked_at + TICK - monotonic())

    async def tick(self) -> None:
        """One look. What rang in this process is done here at once; what is due is rung for whoever is free. Rings that
        come thick and fast are not each a reason to look for what else is due."""
        context = self.context
        context.bell.clear()
        rung = {key for key in context.rung if key[0] in FLOW}
        context.rung.clear()
        for name, shop_id in sorted(rung):
            await self.ring(name, shop_id, near=True)
        if rung and not self.stepped and monotonic() < self.looked_at + TICK:
            return
        self.looked_at = monotonic()
        shops, former = sorted(context.shop_ids.values()), set(context.former.values())
        if shops or former:
            now = await clock.shop_now(context.pool)
            found = await work.due(context.pool, [*shops, *former], now)
            due = [key for key in found if key[1] not in former or key[0] in ENDINGS]
            for key in due:
                if key not in rung:
                    await self.ring(*key, near=self._unheard(key))
            self.rung_at = {key: at for key, at in self.rung_at.items() if key in due}

    def _unheard(self, key: tuple[str, int]) -> bool:
        """It was rung for a while ago and is due still: Redis may have taken the ring and lost it. Done here, then."""
        first = self.rung_at.setdefault(key, monotonic())
        if monotonic() - first < UNHEARD:
            return False
        self.rung_at[key] = monotonic()
        return True

    async def ring(self, name: str, shop_id: int, *, near: bool = False) -> None:
        """Through Redis for any free worker; directly where that is not to be had or is nearer."""
        if self.runner is not None and (near or self.stepped or not self.redis_url):
            self.runner.start(name, shop_id)
            return
        if not await self._enqueue(name, shop_id) and self.runner is not None:
            self.runner.start(name, shop_id)

    async def _enqueue(self, name: str, shop_id: int) -> bool:
        if not self.redis_url or monotonic() < self.retry_at:
            return False
        try:
            async with asyncio.timeout(1):
                if self.redis is None:
                    self.redis = await create_pool(redis_settings(self.redis_url), default_queue_name=QUEUE)
                number = int(monotonic() // NEW_ID_EVERY)
                if await self.redis.enqueue_job("do", name, shop_id, _job_id=f"{name}:{shop_id}:{number}"):
                    await wake(self.redis)
        except (RedisError, OSError, TimeoutError) as error:
            self.retry_at = monotonic() + 5
            log.warning("bell", redis="away", problem=type(error).__name__)
            return False
        return True

    async def close(self) -> None:
        if self.redis is not None:
            await self.redis.aclose(close_connection_pool=True)


async def wake(redis: ArqRedis) -> None:
    """One of those who listen."""
    async with redis.pipeline(transaction=False) as both:
        both.lpush(RUNG, b"")
        both.ltrim(RUNG, 0, MOST_RUNG - 1)
        await both.execute()


class Listener(Worker):
    """arq's worker, which waits for the next ring after each look instead of looking twenty times a second."""

    async def main(self) -> None:
        """Ends with a TimeoutError where no answer comes; then whoever runs this begins anew."""
        async with asyncio.timeout(HEARD_WITHIN):
            self._pool = await create_pool(self.redis_settings, default_queue_name=QUEUE)
        connections = self._pool.connection_pool
        await connections.disconnect()
        connections.reset()  # type: ignore[no-untyped-call]
        connections.connection_kwargs["socket_timeout"] = HEARD_WITHIN  # for each answer: arq has no word for it
        await super().main()

    async def heart_beat(self) -> None:
        """The end of each look."""
        await super().heart_beat()
        _heed()
        await cast("Awaitable[object]", self.pool.blpop([RUNG], timeout=LOOK_EVERY))
        _heed()


def _heed() -> None:
    """Whoever has a time-out for its writes has them in `asyncio.wait_for`, which on Python 3.11 may swallow that the
    task was cancelled (bpo-37658); without this it would go on for ever. The task itself remembers."""
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        raise asyncio.CancelledError


async def do(box: dict[str, Any], name: str, shop_id: int) -> None:
    """The one arq job: which work of which shop, never a cart or a message."""
    runner: Runner = box["runner"]
    await runner.run(name, shop_id)


async def answer_rings(context: Context, runner: Runner, redis_url: str) -> None:
    """Work off what is rung over arq until the process stops. arq's worker ends when Redis does: it is started anew."""
    while not context.stopping.is_set():
        worker = _worker(runner, redis_url)
        try:
            await worker.async_run()
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if task is None or task.cancelling():
                raise
            log.warning("bell", redis="away", problem="cancelled from inside")
        except BaseException as error:  # arq leaves with SystemExit and friends when Redis goes
            log.warning("bell", redis="away", problem=type(error).__name__)
        finally:
            await _close(worker)
        if not context.stopping.is_set():
            await asyncio.sleep(1)


def _worker(runner: Runner, redis_url: str) -> Listener:
    return Listener(
        functions=[func(cast("WorkerCoroutine", do), name="do", timeout=LONGEST_JOB, keep_result=0, max_tries=1)],
        queue_name=QUEUE,
        redis_settings=redis_settings(redis_url),
        max_jobs=50,
        poll_delay=0.05,
        retry_jobs=False,
        handle_signals=False,
        job_completion_wait=0,
        log_results=False,
        timezone=UTC,
        ctx={"runner": runner},
    )


async def _close(worker: Worker) -> None:
    """What arq's own close does, by calls that its Redis client still wants."""
    try:
        async with asyncio.timeout(2):
            await asyncio.gather(*worker.tasks.values(), return_exceptions=True)
            if worker._pool is not None:
                await worker._pool.aclose(close_connection_pool=True)
    except (RedisError, OSError, TimeoutError) as error:
        log.debug("bell", closing=repr(error))


def redis_settings(url: str) -> RedisSettings:
    """Short patience: without Redis the same work is done directly."""
    settings = RedisSettings.from_dsn(url)
    settings.conn_timeout = 1
    settings.conn_retries = 0
    return settings
