"""Every named query prepares against the migrated schema."""

from __future__ import annotations

from pathlib import Path

import aiosql

from daemon.store import sql

FILES = sorted(Path(sql.FOLDER).glob("*.sql"))
QUERIES = {file.stem: aiosql.from_path(file, "asyncpg", mandatory_parameters=False) for file in FILES}


async def test_prepares(db):
    broken, tried = [], 0
    for file, queries in QUERIES.items():
        for name in queries.available_queries:
            if name.endswith("_cursor"):
                continue
            tried += 1
            try:
                await db.prepare(getattr(queries, name).sql)
            except Exception as error:
                broken.append(f"{file}.sql {name}: {error}")
    assert broken == []
    assert tried > 80
