"""Migrated databases for tests, used again: a new one costs the server more than most tests do.

Between two tests every row goes and what the migrations wrote comes back. Whoever changed more than rows, or left many
of them, has had the last use of that database.
"""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import asyncpg

CATALOGUES = ("pg_proc", "pg_constraint", "pg_trigger", "pg_type", "pg_attrdef", "pg_namespace", "pg_policy")
USES = 40
"""Dead rows stay where they were: after so many tests a database is made anew."""
GROWN = 4 << 20
"""Bytes more than when it was new: too much to be swept."""
SHAPE = f"""
SELECT md5(string_agg(word, ',' ORDER BY word)) FROM (
    SELECT concat_ws(' ', 'c', oid, xmin, reltuples) FROM pg_class WHERE oid >= 16384
    UNION ALL SELECT concat_ws(' ', 'a', attrelid, attnum, xmin) FROM pg_attribute WHERE attrelid >= 16384
    UNION ALL SELECT concat_ws(' ', 's', starelid, staattnum) FROM pg_statistic WHERE starelid >= 16384
    UNION ALL SELECT concat_ws(' ', 'd', datconnlimit, datallowconn, datacl) FROM pg_database
        WHERE datname = current_database()
    UNION ALL SELECT concat_ws(' ', 'r', setrole, setconfig) FROM pg_db_role_setting
        WHERE setdatabase = (SELECT oid FROM pg_database WHERE datname = current_database())
    {" ".join(f"UNION ALL SELECT concat_ws(' ', '{o}', oid, xmin) FROM {o} WHERE oid >= 16384" for o in CATALOGUES)}
) AS t (word)
"""
TABLES = """
SELECT format('%I.%I', n.nspname, c.relname) FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind = 'r' AND c.oid >= 16384 ORDER BY c.oid
"""
SEQUENCES = "SELECT format('%I.%I', schemaname, sequencename) AS name, start_value, last_value FROM pg_sequences"
FORGET = ("SELECT pg_stat_force_next_flush()", "SELECT pg_stat_reset()")
"""What the server counted, the sweep itself included: that is counted once its transaction is over."""
OTHERS = """
SELECT bool_and(pg_terminate_backend(pid, 10000)) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""


@dataclass
class Fresh:
    """What a database is like that was just copied from the template."""

    shape: str
    size: int
    sweep: str
    """All statements that take every row out and set the sequences back."""
    rows: list[tuple[str, bytes]]
    """Table and what the migrations wrote into it, as COPY reads it."""


@dataclass
class Databases:
    """On one server; `template` is the migrated database that all are copied from."""

    url: str
    template: str
    fresh: Fresh | None = None
    spare: list[str] = field(default_factory=list)
    uses: dict[str, int] = field(default_factory=dict)

    async def take(self) -> str:
        """The name of one that is as new."""
        if self.spare:
            return self.spare.pop()
        name = f"tillbell_test_{secrets.token_hex(6)}"
        await self._tell(f"CREATE DATABASE {name} TEMPLATE {self.template}")
        self.uses[name] = 0
        if self.fresh is None:
            self.fresh = await self._looked_at(name)
        return name

    async def give_back(self, name: str) -> None:
        self.uses[name] += 1
        if await self._swept(name):
            self.spare.append(name)
        else:
            await self.drop(name)

    async def drop(self, name: str) -> None:
        await self._tell(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")

    async def close(self) -> None:
        while self.spare:
            await self.drop(self.spare.pop())

    async def _tell(self, statement: str) -> None:
        connection = await asyncpg.connect(self.url)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def _looked_at(self, name: str) -> Fresh:
        connection = await asyncpg.connect(named(self.url, name))
        try:
            tables = [row[0] for row in await connection.fetch(TABLES)]
            sweep = ["SET session_replication_role = replica", *(f"DELETE FROM {table}" for table in tables)]
            for one in await connection.fetch(SEQUENCES):
                last = one["last_value"]
                value, called = (one["start_value"], "false") if last is None else (last, "true")
                sweep.append(f"SELECT setval('{one['name']}', {value}, {called})")
            rows = [(table, await copied(connection, table)) for table in tables]
            empty = min(len(told) for _, told in rows)  # the head and the end of what COPY says
            return Fresh(
                await connection.fetchval(SHAPE),
                await connection.fetchval("SELECT pg_database_size(current_database())"),
                ";".join(sweep),
                [(table, told) for table, told in rows if len(told) > empty],
            )
        finally:
            await connection.close()

    async def _swept(self, name: str) -> bool:
        """Whether it is as new again."""
        fresh = self.fresh
        if fresh is None or self.uses[name] >= USES:
            return False
        try:
            connection = await asyncpg.connect(named(self.url, name))
        except asyncpg.PostgresError:
            return False
        try:
            if await connection.fetchval(OTHERS) is False or await connection.fetchval(SHAPE) != fresh.shape:
                return False
            if await connection.fetchval("SELECT pg_database_size(current_database())") > fresh.size + GROWN:
                return False
            await connection.execute(fresh.sweep)
            for table, told in fresh.rows:
                schema, _, plain = table.partition(".")
                await connection.copy_to_table(plain, schema_name=schema, source=read(told), format="binary")
            for statement in FORGET:
                await connection.execute(statement)
        except asyncpg.PostgresError:
            return False
        finally:
            await connection.close()
        return True


async def read(told: bytes) -> AsyncIterator[bytes]:
    yield told


async def copied(connection: asyncpg.Connection[asyncpg.Record], table: str) -> bytes:
    """All rows of it, in the binary form of COPY."""
    parts: list[bytes] = []

    async def keep(part: bytes) -> None:
        parts.append(part)

    await connection.copy_from_query(f"SELECT * FROM {table}", output=keep, format="binary")
    return b"".join(parts)


def named(url: str, database: str) -> str:
    """The same server, another database of it."""
    address, mark, options = url.partition("?")
    return f"{address.rpartition('/')[0]}/{database}{mark}{options}"
