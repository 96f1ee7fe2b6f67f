"""Locks a person as the daemon would, and asks for more than a line holds. Argument: the database's address.

Says `ready` when the person is locked. It never reads the answer, so that the server stands in the middle of it.
"""

from __future__ import annotations

import asyncio
import sys

from daemon.store.database import connect_pool, transaction

ONE = "SELECT id FROM person ORDER BY id DESC LIMIT 1 FOR NO KEY UPDATE"
MUCH = "SELECT repeat('x', 1000) FROM generate_series(1, 100000)"


async def main(url: str) -> None:
    pool = await connect_pool(url, limit=600)
    async with transaction(pool) as db:
        await db.execute("SET LOCAL application_name = 'holder'")
        await db.fetch(ONE)
        print("ready", flush=True)
        db._transport.pause_reading()
        await db.execute(MUCH)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
