"""What is wrong with an osCommerce-family database, in sentences with a hint each."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from daemon.shops.base import Health, ShopUnavailable
from daemon.shops.dialects import Dialect
from daemon.shops.oscommerce_config import Config
from daemon.shops.oscommerce_db import Database
from daemon.shops.oscommerce_read import SLIP, day, moment

IN_STEP = timedelta(minutes=1)
BIG = 20_000
"""Rows from which a missing index is felt."""
MISSING_COLUMN, MISSING_TABLE, DENIED = 1054, 1146, (1142, 1143)


async def examine(db: Database, dialect: Dialect, config: Config, now: datetime) -> Health:
    """Reachable, every table and column readable, clocks in step, nothing dated in the future."""
    try:
        at = moment((await db.one("clock"))["at"], UTC)
        skew = at - now if at else None
        findings = await unreadable(db, dialect, config)
        if not findings:
            findings += await slipped(db, dialect, config, now)
            findings += await slow(db, config.table_prefix)
            findings += await without_stock(db, config)
            findings += await untaxed(db, config)
        if skew is not None and abs(skew) > IN_STEP:
            findings.append(f"the database's clock is {spelled(skew)} ours; set both by NTP")
    except ShopUnavailable as error:
        return Health(reachable=False, findings=(str(error),))
    return Health(reachable=True, findings=tuple(findings), clock_skew=skew)


async def unreadable(db: Database, dialect: Dialect, config: Config) -> list[str]:
    """Tables, columns and grants that are missing, each with what mends it."""
    findings = []
    for name, columns in dialect.tables.items():
        table = config.table_prefix + name
        whole = await db.probe(probe(table, columns))
        if whole == 0:
            continue
        if whole == MISSING_TABLE:
            findings.append(f"table {table} is missing; check `dialect` ({dialect.name}) and `table_prefix`")
            continue
        errors = {column: await db.probe(probe(table, [column])) for column in columns}
        if absent := [column for column, number in errors.items() if number == MISSING_COLUMN]:
            findings.append(f"{table} has no {', '.join(absent)}; is the shop really {dialect.title}?")
        if denied := [column for column, number in errors.items() if number in DENIED]:
            mend = grant(config.database, table, denied, f"'{config.user}'")
            findings.append(f"no right to read {table} ({', '.join(denied)}); {mend}")
    return findings


def probe(table: str, columns: Iterable[str]) -> str:
    """Reads nothing and earns every error. Only names of ours and the checked prefix are in this text."""
    return f"SELECT {', '.join(columns)} FROM `{table}` LIMIT 0"  # noqa: S608


def grant(database: str, table: str, columns: Iterable[str], account: str) -> str:
    return f"GRANT SELECT ({', '.join(columns)}) ON `{database}`.`{table}` TO {account};"


def grants(dialect: Dialect, prefix: str, database: str, account: str) -> list[str]:
    """The least that the connector needs: columns by name, so no password and no address of a house."""
    return [grant(database, prefix + table, columns, account) for table, columns in dialect.tables.items()]


async def slipped(db: Database, dialect: Dialect, config: Config, now: datetime) -> list[str]:
    """A moment that the shop wrote and that has not come yet: one of the two zones is wrong."""
    zone = ZoneInfo(config.timezone)
    row = await db.one("newest")
    findings = []
    if dialect.baskets == "day":
        basket, slack = day(row["basket"], zone), timedelta(0)
    else:
        basket, slack = moment(row["basket"], zone if dialect.baskets == "php" else UTC), SLIP
    if basket is not None and basket > now + slack:
        findings.append(f"a cart is dated {spelled(basket - now)} now; {zone_hint(config)}")
    ordered = moment(row["ordered"], zone if dialect.clock == "php" else UTC)
    if ordered is not None and ordered > now + SLIP:
        hint = zone_hint(config) if dialect.clock == "php" else "the shop does not write in the server's time_zone"
        findings.append(f"an order is dated {spelled(ordered - now)} now; {hint}")
    return findings


def zone_hint(config: Config) -> str:
    return f"`timezone: {config.timezone}` is not the zone of the shop's PHP (date.timezone, or set in its admin pages)"


def spelled(span: timedelta) -> str:
    """As in `57 min ahead of`."""
    minutes = round(abs(span).total_seconds() / 60)
    return f"{minutes} min {'ahead of' if span > timedelta(0) else 'behind'}"


async def slow(db: Database, prefix: str) -> list[str]:
    tables = [prefix + "customers_basket", prefix + "orders"]
    return [
        f"{row['name']} has about {row['size']} rows and no index on customers_id; "
        f"CREATE INDEX by_customer ON `{row['name']}` (customers_id); makes every look at it quicker"
        for row in await db.all("unindexed", tables=tables, size=BIG)
    ]


async def without_stock(db: Database, config: Config) -> list[str]:
    row = await db.one("sold_out")
    lying, gone = int(row["lying"] or 0), int(row["gone"] or 0)
    if config.stock == "ignored" or lying < 10 or gone * 2 <= lying:
        return []
    return [
        f"{gone} of {lying} products in carts have no stock; if the shop sells them all the same, set `stock: ignored`"
    ]


async def untaxed(db: Database, config: Config) -> list[str]:
    classes = sorted(int(row["tax_class"]) for row in await db.all("tax_classes"))
    unknown = [number for number in classes if number not in config.tax_percent]
    if not unknown:
        return []
    told = ", ".join(f"{number}: 19" for number in unknown)
    return [
        f"the catalogue's prices are net and no rate is told for tax class {', '.join(map(str, unknown))}; "
        f"as in `tax_percent: {{{told}}}`, or 0 where mails show net prices"
    ]
