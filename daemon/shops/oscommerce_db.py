"""How a shop's database is spoken to: named queries, short statements, time-outs, errors without secrets."""

from __future__ import annotations

import asyncio
import re
import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from decimal import Decimal
from functools import partial
from pathlib import Path
from typing import Any

import aiomysql
import aiosql
from pymysql.constants import FIELD_TYPE
from pymysql.converters import convert_datetime, decoders
from pymysql.err import MySQLError

from daemon.shops.base import ShopUnavailable
from daemon.shops.dialects import Dialect
from daemon.shops.dialects.dialect import PARTS

Row = Mapping[str, Any]

QUERIES = Path(__file__).with_name("oscommerce.sql")
BRACES = re.compile(r"\{(\w+)\}")
PLACEHOLDER = re.compile(r"%\((\w+)\)s")
FIRST_BELIEVABLE = datetime(1971, 1, 1)  # noqa: DTZ001  a wall clock's reading, without a zone on purpose
CONNECTIONS = 4

SERVER = "@@GLOBAL.time_zone"
"""Where the shop leaves its session in the server's zone, the server alone knows that zone's rules."""
READ = {"php": "{}", "server": f"CONVERT_TZ({{}}, {SERVER}, '+00:00')"}
"""A DATETIME's column: as it stands, in PHP's zone, or brought to UTC by the server."""
WRITTEN = {"php": "{}", "server": f"CONVERT_TZ({{}}, '+00:00', {SERVER})"}
"""A moment of ours, as that column would hold it."""

SESSION = (
    "SET time_zone = '+00:00' /*M!100100 , max_statement_time = {seconds} */"
    " /*!50708 , max_execution_time = {milliseconds} */"
)
"""The server too gives up a statement after our patience: MariaDB by the first comment, MySQL by the second."""

CAUSES = {
    1044: "the user may not use this database; check `database` and its grants",
    1045: "the database refuses the user or the password",
    1049: "there is no database of this name; check `database`",
    1054: "a column is missing; check `dialect`, then run `tillbell check`",
    1142: "the user may not read a table; run `tillbell check` for the missing grant",
    1143: "the user may not read a column; run `tillbell check` for the missing grant",
    1146: "a table is missing; check `dialect` and `table_prefix`, then run `tillbell check`",
    1969: "a query took longer than `patience`",
    2003: "no database answers at this address; check `host`, `port` or `unix_socket`",
    3024: "a query took longer than `patience`",
}


class Refused(ShopUnavailable):
    """The shop's database answered with an error, or not at all (number 0)."""

    def __init__(self, number: int, cause: str) -> None:
        super().__init__(f"MySQL error {number}: {cause}" if number else cause)
        self.number = number


def spread(sql: str, parameters: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """`IN %(ids)s` with three ids as `IN (%(ids_0)s, %(ids_1)s, %(ids_2)s)`. No value enters the text."""
    values: dict[str, Any] = {}

    def placeholders(found: re.Match[str]) -> str:
        name = found[1]
        value = parameters[name]
        if isinstance(value, str) or not isinstance(value, Sequence):
            values[name] = value
            return found[0]
        members = {f"{name}_{number}": member for number, member in enumerate(value)} or {f"{name}_0": None}
        values.update(members)
        return "(" + ", ".join(f"%({member})s" for member in members) + ")"

    return PLACEHOLDER.sub(placeholders, sql), values


def queries(dialect: Dialect, prefix: str) -> dict[str, str]:
    """The named queries for this dialect's tables and columns. The prefix has been held against a pattern before."""
    tables = {table: f"`{prefix}{table}`" for table in dialect.tables}
    read, written = READ[dialect.clock], WRITTEN[dialect.clock]
    dates = {
        "ordered": read.format("o.date_purchased"),
        "signed": read.format("r.date_added"),
        "since": written.format(":since"),
    }
    parts = {**PARTS, **dates, **dialect.parts, **tables}
    blocks = QUERIES.read_text(encoding="utf-8").split("\n-- name: ")[1:]
    complete = [block for block in blocks if all(name in parts for name in BRACES.findall(block))]
    named = "\n".join("-- name: " + BRACES.sub(lambda found: parts[found[1]], block) for block in complete)
    loaded = aiosql.from_str(named, "pymysql", mandatory_parameters=False)
    names = [name for name in loaded.available_queries if not name.endswith("_cursor")]
    return {name: getattr(loaded, name).sql for name in names}


def wall(text: str) -> datetime | None:
    """A DATETIME as it stands, None for the dates that mean none: 0000-00-00, 0001-01-01, 1000-01-01."""
    value = convert_datetime(text)
    if not isinstance(value, datetime):
        value = convert_datetime(f"{value} 00:00:00")
    return value if isinstance(value, datetime) and value >= FIRST_BELIEVABLE else None


CONVERSIONS = {
    **decoders,
    FIELD_TYPE.FLOAT: Decimal,
    FIELD_TYPE.DOUBLE: Decimal,
    FIELD_TYPE.DATETIME: wall,
    FIELD_TYPE.TIMESTAMP: wall,
    FIELD_TYPE.DATE: wall,
}


class Database:
    """A few connections to a shop's database. Every error comes out as ShopUnavailable, with its number and no text:
    the server's own text may hold addresses and account names."""

    def __init__(self, dialect: Dialect, prefix: str, patience: float, options: Mapping[str, Any]) -> None:
        self.sql = queries(dialect, prefix)
        self.patience = patience
        self.pool: Any = None
        self.connect = partial(
            aiomysql.create_pool,
            minsize=0,
            maxsize=CONNECTIONS,
            pool_recycle=300,
            autocommit=True,
            charset="utf8mb4",
            conv=CONVERSIONS,
            init_command=SESSION.format(seconds=patience, milliseconds=round(patience * 1000)),
            **options,
        )

    def __repr__(self) -> str:
        return "Database(…)"

    async def all(self, name: str, **values: Any) -> list[Row]:
        """The rows of a named query."""
        statement, spread_values = spread(self.sql[name], values)
        async with self.connection() as connection, connection.cursor(aiomysql.DictCursor) as cursor:
            await cursor.execute(statement, spread_values)
            return list(await cursor.fetchall())

    async def one(self, name: str, **values: Any) -> Row:
        """The one row of a named query that always has one."""
        return (await self.all(name, **values))[0]

    async def probe(self, statement: str) -> int:
        """The error number that a statement earns, 0 for none."""
        try:
            async with self.connection() as connection, connection.cursor() as cursor:
                await cursor.execute(statement)
        except Refused as error:
            if error.number not in (1054, 1142, 1143, 1146):
                raise
            return error.number
        return 0

    @asynccontextmanager
    async def connection(self) -> AsyncIterator[Any]:
        """One connection within the time-out; what was broken off is closed, not reused."""
        connection = None
        try:
            async with asyncio.timeout(self.patience):
                if self.pool is None:
                    self.pool = await self.connect()
                connection = await self.pool.acquire()
                yield connection
        except TimeoutError:
            raise Refused(0, f"the shop's database did not answer within {self.patience:g} s") from None
        except MySQLError as error:
            number = error.args[0] if error.args and isinstance(error.args[0], int) else 0
            raise Refused(number, CAUSES.get(number, "the shop's database failed")) from None
        except (OSError, RuntimeError) as error:
            raise Refused(0, f"the shop's database broke off ({type(error).__name__})") from None
        finally:
            if connection is not None:
                self.pool.release(connection)

    async def close(self) -> None:
        """Ends every connection; a later read opens new ones."""
        pool, self.pool = self.pool, None
        if pool is not None:
            pool.close()
            await pool.wait_closed()


def tls(ca_file: str) -> ssl.SSLContext:
    return ssl.create_default_context(cafile=ca_file or None)
