"""P14: whether a worker's memory stays flat while it sends, and what the tokens of a mail cost beside the mail."""

from __future__ import annotations

import gc
from time import process_time

import psutil

from bench import peers
from bench.crowd import cart, keep_all
from bench.measured import Measured, Row
from bench.phases import STEPS, drained
from bench.place import NOON, Place, settle
from bench.post import open_relay
from daemon.tokens import Secrets, Token, make, read

TOKENS = 20_000
OF_A_MAIL = 8
SECRETS = Secrets(1, {1: b"k" * 32})


async def measure(place: Place, mails: int = 500, rounds: int = 4) -> Measured:
    """`mails` sent in each of `rounds` by this process; the first round warms up."""
    memory, cpu = [], 0.0
    async with open_relay() as relay:
        smtp = {"smtp_host": "127.0.0.1", "smtp_port": relay.port, "smtp_tls": "none"}
        async with place.household(**smtp) as context:
            for number in range(rounds):
                numbers = range(number * mails, (number + 1) * mails)
                await keep_all(context, (cart(one, NOON, consents=True) for one in numbers), NOON)
                await settle(context)
                began = process_time()
                for step in STEPS.values():
                    await drained(context, step)
                cpu = (process_time() - began) / mails * 1e6
                gc.collect()
                memory.append(psutil.Process().memory_info().rss / 2**20)
    making, checking = tokens()
    share = OF_A_MAIL * making / cpu
    sizes = ", ".join(f"{one:.0f}" for one in memory)
    rows = [
        Row("P14", f"memory after {rounds} rounds, to the second", f"{sizes} MiB", memory[-1] / memory[1], 1.05, True),
        Row(
            "P14",
            f"{OF_A_MAIL} tokens, to a mail's CPU",
            f"{OF_A_MAIL * making:.0f} of {cpu:.0f} µs",
            share,
            0.06,
            True,
        ),
        await others(place, checking),
    ]
    return Measured(rows, {"memory_mib": round(memory[-1]), "token_make_us": making, "token_check_us": checking})


def tokens() -> tuple[float, float]:
    """CPU µs to make one and to check one."""
    began = process_time()
    made = [make(SECRETS, Token("click", 1, number, 3)) for number in range(TOKENS)]
    between = process_time()
    for token in made:
        read(SECRETS, token)
    return (between - began) / TOKENS * 1e6, (process_time() - between) / TOKENS * 1e6


async def others(place: Place, checking: float) -> Row:
    what = "a token checked, to itsdangerous"
    try:
        python = await peers.python_with(place.folder / "itsdangerous", "itsdangerous")
        told = await peers.told(python, peers.HERE / "signed.py", TOKENS)
    except peers.Absent as absent:
        return Row("P14", what, f"not measured: {absent}")
    return Row("P14", what, f"{checking:.1f} and {told['check_us']:.1f} µs CPU", told["check_us"] / checking, 4)
