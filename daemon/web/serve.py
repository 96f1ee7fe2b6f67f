"""Two listeners: one for the world, one for the operator."""

from __future__ import annotations

import os
from dataclasses import dataclass

import structlog
from aiohttp import web

from daemon.context import Context
from daemon.errors import ConfigurationError
from daemon.web.app import private_app, public_app
from daemon.web.doors import OURS, Crowd, Doors, Site
from daemon.web.edge import SILENT
from daemon.web.state import STATE

log = structlog.get_logger()
BACKLOG = 1024


@dataclass(slots=True)
class Served:
    """What `serve` opened. Ports are the real ones, also where port 0 was asked for."""

    private: web.AppRunner
    private_port: int
    public: web.AppRunner | None = None
    public_port: int = 0

    def journal_lines(self) -> int:
        """Hits on this process's disk that the database does not have yet: for its heartbeat row."""
        return self.public.app[STATE].desk.journal.lines if self.public is not None else 0

    async def close(self) -> None:
        """Refuse new connections, finish what runs, write out what waits."""
        if self.public is not None:
            await self.public.cleanup()
        await self.private.cleanup()


async def serve(context: Context, *, public: bool = True) -> Served:
    """Open the listeners of the settings. `public` False: a worker, which has only the private one.

    Raises ConfigurationError when an address is taken or is none.
    """
    private, private_port = await _listen(private_app(context), context, "private_listen")
    served = Served(private, private_port)
    if public:
        try:
            served.public, served.public_port = await _listen(public_app(context), context, "listen")
        except BaseException:
            await private.cleanup()
            raise
    log.info("listening", public=served.public_port or None, private=private_port)
    return served


async def _listen(app: web.Application, context: Context, setting: str) -> tuple[web.AppRunner, int]:
    address: str = getattr(context.settings, setting)
    host, _, port = address.rpartition(":")
    runner = web.AppRunner(
        app,
        access_log=None,
        logger=SILENT,
        shutdown_timeout=context.settings.drain.total_seconds(),
    )
    await runner.setup()
    try:
        doors = Doors(crowd=Crowd(ours=(*OURS, *context.settings.trusted_proxies)))
        await Site(runner, host.strip("[]") or None, int(port), backlog=BACKLOG, doors=doors).start()
    except OSError as error:
        await runner.cleanup()
        reason = os.strerror(error.errno) if error.errno and error.errno > 0 else error.strerror or str(error)
        raise ConfigurationError(f"TILLBELL_{setting.upper()}: {address} cannot be listened on: {reason}") from error
    return runner, int(runner.addresses[0][1])
