"""pgqueuer: jobs that do nothing, claimed and finished by one process. Arguments: database address, jobs."""

import asyncio
import json
import sys
from time import perf_counter, process_time

import asyncpg
from pgqueuer.db import AsyncpgPoolDriver
from pgqueuer.models import Job
from pgqueuer.qm import QueueManager
from pgqueuer.queries import Queries
from pgqueuer.types import QueueExecutionMode


async def main(url: str, jobs: int) -> None:
    async with asyncpg.create_pool(url, min_size=4, max_size=10) as pool:
        driver = AsyncpgPoolDriver(pool)
        queries = Queries(driver)
        await queries.install()
        for start in range(0, jobs, 1000):
            many = min(1000, jobs - start)
            await queries.enqueue(["nothing"] * many, [None] * many, [0] * many)
        manager = QueueManager(queries)

        @manager.entrypoint("nothing")
        async def nothing(_: Job) -> None:
            return

        began, used = perf_counter(), process_time()
        await manager.run(batch_size=500, mode=QueueExecutionMode.drain)
        span = perf_counter() - began
    print(json.dumps({"per_s": jobs / span, "cpu_us": (process_time() - used) / jobs * 1e6}))


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
