"""Both servers of a data folder together: one process owns them, others of the same folder may share."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Self

from daemon.embedded import binaries, postgres, valkey
from daemon.embedded.account import refuse_closed_parents, servant
from daemon.embedded.folder import Ownership, explained, make_data_folder
from daemon.embedded.keys import key
from daemon.embedded.server import Server
from daemon.errors import ConfigurationError, TemporaryError

NO_SETTINGS: Mapping[str, str] = MappingProxyType({})


@dataclass(slots=True)
class Servers:
    """Running servers. An address is empty when that server was not asked for."""

    database_url: str = ""
    redis_url: str = ""
    notes: list[str] = field(default_factory=list)
    running: list[Server] = field(default_factory=list)
    ownership: Ownership | None = None
    keepers: list[asyncio.Task[None]] = field(default_factory=list)

    @property
    def shared(self) -> bool:
        """They belong to another process and end with it."""
        return self.ownership is None

    def keep(self) -> None:
        """From now on a server that falls is started again, at the same address."""
        self.keepers = [asyncio.create_task(server.keep(), name=f"keep {server.name}") for server in self.running]

    async def stop(self) -> None:
        """Ends what we started, the bell before the books; a shared server is left alone."""
        for keeper in self.keepers:
            keeper.cancel()
        await asyncio.gather(*self.keepers, return_exceptions=True)
        self.keepers.clear()
        for server in reversed(self.running):
            await server.stop()
        if self.ownership:
            self.ownership.give_back()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()


async def start(
    data_dir: Path,
    *,
    with_postgres: bool = True,
    with_valkey: bool = True,
    share: bool = False,
    keep: bool = True,
    settings: Mapping[str, str] = NO_SETTINGS,
) -> Servers:
    """Start the embedded servers of a data folder and return when they answer.

    A folder has one owner. If another process owns it: with `share` its servers are used (a command beside a running
    daemon), otherwise ConfigurationError. Servers left behind by a killed owner are stopped in order first. `settings`
    are for PostgreSQL. The servers end with the thread that called this: call it from one that stays.
    """
    folder = make_data_folder(data_dir)
    ownership = Ownership(folder)
    with explained(folder):
        ours = ownership.take()
    if not ours:
        if share:
            return await join(ownership)
        raise ConfigurationError(
            f"the embedded servers of {folder} are already run by process {ownership.owner().split()[0]}; "
            "hint: stop it first, or give this one a TILLBELL_DATA_DIR of its own"
        )
    servers = Servers(ownership=ownership)
    try:
        with explained(folder):
            await start_owned(servers, folder, with_postgres, with_valkey, settings)
    except BaseException:
        await servers.stop()
        raise
    if keep:
        servers.keep()
    return servers


async def start_owned(
    servers: Servers, folder: Path, with_postgres: bool, with_valkey: bool, settings: Mapping[str, str]
) -> None:
    programs, account = binaries.in_wheels(), servant()
    if account:
        refuse_closed_parents(folder, account)
        programs = binaries.copied(programs, folder)
        servers.notes.append(
            f"running as root: the embedded servers run as {account.name}, from copies in {folder}/programs"
        )
    if with_postgres:
        server = await postgres.prepare(programs, folder / "postgres", account, key(folder, "postgres"), settings)
        servers.running.append(server)
        servers.database_url = server.url
    if with_valkey:
        server = await valkey.prepare(programs, folder / "valkey", account, key(folder, "valkey"))
        servers.running.append(server)
        servers.redis_url = server.url
    for server in servers.running:
        await server.start()
    if servers.ownership:
        servers.ownership.publish({"database": servers.database_url, "redis": servers.redis_url})


async def join(ownership: Ownership, patience: float = 60) -> Servers:
    """The servers of the process that owns the folder, waiting while it starts."""
    deadline = asyncio.get_running_loop().time() + patience
    while asyncio.get_running_loop().time() < deadline:
        if told := ownership.published():
            return Servers(told["database"], told["redis"])
        await asyncio.sleep(0.05)
    raise TemporaryError(
        f"process {ownership.owner().split()[0]} owns {ownership.path.parent} but its servers do not come up"
    )
