"""nginx, which answers the same request with a picture from its memory and records nothing: what a request costs."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.traffic import Server
from daemon.embedded.process import free_port

PATIENCE = 10
WORDS = """
daemon off;
master_process off;
pid {folder}/pid;
error_log {folder}/error.log;
events {{ worker_connections 1024; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    keepalive_requests 1000000000;
    server {{ listen 127.0.0.1:{port}; location / {{ empty_gif; }} }}
}}
"""


@asynccontextmanager
async def nginx(program: str, folder: Path) -> AsyncIterator[Server]:
    """One process of it: its port and the process."""
    port = free_port()
    await asyncio.to_thread(folder.mkdir, exist_ok=True)
    words = folder / "nginx.conf"
    await asyncio.to_thread(words.write_text, WORDS.format(folder=folder, port=port))
    process = await asyncio.create_subprocess_exec(program, "-c", words, "-e", folder / "error.log")
    try:
        async with asyncio.timeout(PATIENCE):
            while not await answers(port):  # noqa: ASYNC110
                await asyncio.sleep(0.05)  # it gives no signal
        yield port, process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


async def answers(port: int) -> bool:
    try:
        _, writer = await asyncio.open_connection("127.0.0.1", port)
    except OSError:
        return False
    writer.close()
    return True
