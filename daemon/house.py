"""Everything that runs in one process: opened in order, closed in reverse."""

from __future__ import annotations

import asyncio
import hashlib
import os
import platform
import secrets
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from importlib.metadata import version
from pathlib import Path

import structlog

from daemon import mail
from daemon import shops as connectors
from daemon.book import Keeper
from daemon.context import Context
from daemon.embedded import folder, keys, servers
from daemon.embedded.servers import Servers
from daemon.errors import ConfigurationError
from daemon.flow.shops import open_shops
from daemon.mail.texts import load_voices
from daemon.opening import open_channels
from daemon.schema import check_schema, lacks
from daemon.settings import Settings
from daemon.store import shops
from daemon.store.database import Pool, connect, connect_pool
from daemon.tokens import Secrets

log = structlog.get_logger()

PATIENCE = 10.0
"""Seconds for connections to be let go of in order."""


@asynccontextmanager
async def servers_of(settings: Settings, *, share: bool) -> AsyncIterator[Servers]:
    """The two servers of the settings; embedded ones are started here, or shared with a daemon that runs already."""
    given = Servers(
        database_url=settings.database_url.get_secret_value(), redis_url=settings.redis_url.get_secret_value()
    )
    if given.database_url and (given.redis_url or share):
        yield given
        return
    started = await servers.start(
        data_dir(settings), with_postgres=not given.database_url, with_valkey=not given.redis_url, share=share
    )
    async with started:
        for note in started.notes:
            log.info("starting", note=note)
        yield Servers(given.database_url or started.database_url, given.redis_url or started.redis_url, started.notes)


def data_dir(settings: Settings) -> Path:
    return settings.data_dir or folder.default_folder()


@asynccontextmanager
async def house(settings: Settings, database_url: str) -> AsyncIterator[Context]:
    """A context with all its parts, for a process that acts. Raises ConfigurationError with one line a mistake."""
    await bring_up(database_url)
    keeper = Keeper(settings.rules_dir, os.environ, connectors.discover())
    pool = await connect_pool(database_url)
    try:
        async with pool.acquire() as connection:
            await check_schema(connection)  # type: ignore[arg-type]  # a pool's connection is one
        context = furnished(settings, pool, keeper, await pepper_of(settings, pool))
        if settings.seed and settings.clock == "stepped":
            context.chance = seeded(settings.seed)
        await take_rules(context)
        try:
            yield context
        finally:
            await close(context)
    finally:
        await close_pool(pool)


@asynccontextmanager
async def window(settings: Settings, database_url: str) -> AsyncIterator[tuple[Context, str]]:
    """A context for a command that only looks: it changes no row, makes none, migrates nothing and carries out no mode.

    With it comes what the schema is behind by, empty if it is the right one. A shop that the database does not know yet
    is in `shops` and not in `shop_ids`; where the schema is behind, none is. Raises ConfigurationError.
    """
    keeper = Keeper(settings.rules_dir, os.environ, connectors.discover())
    pool = await connect_pool(read_only(database_url))
    try:
        async with pool.acquire() as connection:
            behind = await lacks(connection)  # type: ignore[arg-type]  # a pool's connection is one
        pepper = own_pepper(settings) if behind else await pepper_of(settings, pool, looks=True)
        context = furnished(settings, pool, keeper, pepper)
        context.templates = await asyncio.to_thread(templates_of, settings)
        context.voices = await asyncio.to_thread(load_voices, settings.rules_dir / "templates")
        if not behind:
            rows = await shops.every(pool)
            context.shop_ids = {row.name: row.shop_id for row in rows if row.name in keeper.book.shops}
            context.former = {row.name: row.shop_id for row in rows if row.name not in keeper.book.shops}
        classes = connectors.discover()
        try:
            for name, words in keeper.book.shops.items():
                context.shops[name] = classes[words.connector](keeper.book.configs[name])
            yield context, behind
        finally:
            await close(context)
    finally:
        await close_pool(pool)


def read_only(database_url: str) -> str:
    """The same database, whose server refuses this client whatever would change a row."""
    return f"{database_url}{'&' if '?' in database_url else '?'}default_transaction_read_only=on"


def furnished(settings: Settings, pool: Pool, keeper: Keeper, pepper: bytes) -> Context:
    """A context whose shops and templates are still missing."""
    return Context(
        settings=settings,
        pool=pool,
        secrets=signing_keys(settings),
        pepper=pepper,
        data_dir=data_dir(settings),
        keeper=keeper,
        process=f"{platform.node()[:40]}.{os.getpid()}.{secrets.token_hex(3)}",
        channels=open_channels(settings, data_dir(settings)),
    )


async def close_pool(pool: Pool) -> None:
    """In order if the server answers, else without asking it."""
    try:
        async with asyncio.timeout(PATIENCE):
            await pool.close()
    except TimeoutError:
        pool.terminate()


async def bring_up(database_url: str) -> None:
    """Migrate if need be. What migrates is slow to import, so only then."""
    connection = await connect(database_url)
    try:
        await check_schema(connection)
    except ConfigurationError:
        from daemon.migrate import migrate  # noqa: PLC0415

        for name in await migrate(database_url):
            log.info("starting", migrated=name)
    finally:
        await connection.close()


async def take_rules(context: Context) -> None:
    """Shops and templates follow the newest good book."""
    context.templates = await asyncio.to_thread(templates_of, context.settings)
    context.voices = await asyncio.to_thread(load_voices, context.settings.rules_dir / "templates")
    await open_shops(context)


def templates_of(settings: Settings) -> Mapping[str, mail.Template]:
    """Ours, and the operator's own over them."""
    own = settings.rules_dir / "templates"
    return mail.load_tried(own) if own.is_dir() else mail.load(None)


async def close(context: Context) -> None:
    for channel in context.channels.values():
        await channel.close()
    for shop in context.shops.values():
        await shop.close()


def signing_keys(settings: Settings) -> Secrets:
    """From TILLBELL_SECRET (`2:new,1:old`, or one key), else the one of the data folder."""
    text = settings.secret.get_secret_value() or keys.key(data_dir(settings), "secret")
    numbered: dict[int, bytes] = {}
    for part in text.split(","):
        number, colon, value = part.strip().partition(":")
        if not colon:
            number, value = "1", part.strip()
        if not number.isdigit() or int(number) > 255 or len(value) < 32:
            raise ConfigurationError(
                "TILLBELL_SECRET: each key needs 32 characters or more, written as `2:new…,1:old…` with numbers to 255"
            )
        if int(number) in numbered:
            raise ConfigurationError(
                f"TILLBELL_SECRET: two keys have the number {int(number)}, so the links of one would die; "
                "hint: a key without a number is 1, so give the new one 2, as in `2:new…,1:old…`"
            )
        numbered[int(number)] = hashlib.blake2b(value.encode()).digest()
    return Secrets(next(iter(numbered)), numbered)


async def pepper_of(settings: Settings, pool: Pool, *, looks: bool = False) -> bytes:
    """The pepper, if it is the one that this database was made with. The first to act makes it that; who looks, not."""
    pepper = own_pepper(settings)
    fingerprint = hashlib.blake2b(b"fingerprint", key=pepper, digest_size=16).digest()
    known = await (shops.known_fingerprint(pool) if looks else shops.pepper_fingerprint(pool, fingerprint))
    if known is not None and known != fingerprint:
        raise ConfigurationError(
            "the pepper is not the one that this database was made with, so every opt-out would be forgotten; "
            "hint: bring back TILLBELL_PEPPER, or the file keys/pepper of the old data folder"
        )
    return pepper


def own_pepper(settings: Settings) -> bytes:
    """Of the settings, else of the data folder."""
    text = settings.pepper.get_secret_value() or keys.key(data_dir(settings), "pepper")
    if len(text) < 32:
        raise ConfigurationError(
            "TILLBELL_PEPPER: needs 32 characters or more: with less, hashed addresses can be guessed"
        )
    return hashlib.blake2b(text.encode()).digest()


def seeded(seed: str) -> Callable[[str], float]:
    """For the demo: the number that a person draws depends on the seed and on who they are, on nothing else."""

    def draw(birth: str) -> float:
        digest = hashlib.blake2b(f"{seed}:{birth}".encode(), digest_size=8).digest()
        return (int.from_bytes(digest, "big") >> 11) / 2**53

    return draw


def own_version() -> str:
    return version("tillbell")
