"""A connection to a relay whose host may vanish."""

from __future__ import annotations

import socket
from datetime import timedelta

import pytest


@pytest.mark.skipif(not hasattr(socket, "TCP_USER_TIMEOUT"), reason="this system's kernel knows no such limit")
@pytest.mark.parametrize(("to_dot", "silence"), [(30, 20), (8, 8), (4, 5)])
async def test_our_kernel_gives_up_a_relay_that_is_not_there(make_relay, make_email, make_message, to_dot, silence):
    """However long its answer may take; and nothing is on its way longer than a mail may take to its last dot."""
    relay = await make_relay()
    email = make_email(relay.port, to_dot=timedelta(seconds=to_dot))

    async def always(_):
        return True

    await email.send(make_message(), always)
    [line] = email.pool.idle
    option = line.client.transport.get_extra_info("socket").getsockopt
    probes = [option(socket.IPPROTO_TCP, getattr(socket, f"TCP_{one}")) for one in ("KEEPIDLE", "KEEPINTVL", "KEEPCNT")]
    assert option(socket.SOL_SOCKET, socket.SO_KEEPALIVE) == 1
    assert probes[0] + probes[1] * probes[2] == 20
    assert option(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == silence * 1000
