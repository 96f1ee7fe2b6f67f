"""Hosts that vanish without a word: our kernel asks whether they are still there, so that nobody waits for them."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Mapping
from contextlib import suppress


def watch(transport: asyncio.BaseTransport, probes: Mapping[str, int], silence: float) -> None:
    """`probes`: TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT as in tcp(7). `silence`: seconds for which what was sent may
    stay unacknowledged; then the connection is broken and what could not be delivered is thrown away."""
    line = transport.get_extra_info("socket")
    with suppress(OSError):  # a Unix socket has none of it and needs none
        line.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        for name, value in {**probes, "TCP_USER_TIMEOUT": round(silence * 1000)}.items():
            if option := getattr(socket, name, None):  # some are Linux's own
                line.setsockopt(socket.IPPROTO_TCP, option, value)
