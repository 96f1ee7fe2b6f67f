"""`tillbell demo`: a pretend shop, its shoppers and their mails, around the real daemon on servers of its own."""

from __future__ import annotations

import asyncio
import signal
from typing import Annotated, Any

from cyclopts import Parameter, validators
from rich.console import Console
from rich.live import Live

from daemon.cli.desk import AsJson, console, print_json
from daemon.cli.exits import FINDINGS, FINE
from daemon.demo import view
from daemon.demo.outcome import outcome
from daemon.demo.play import Plot, Stage, staged, timed
from daemon.demo.view import Watch

Once = Annotated[bool, Parameter(negative="", help="Play the story as fast as it goes, print what came of it, end.")]
Seed = Annotated[int, Parameter(help="The same seed tells the same story.")]
Shoppers = Annotated[int, Parameter(help="How many people come.", validator=validators.Number(gte=1, lte=5000))]
Hours = Annotated[int, Parameter(help="Of shop time.", validator=validators.Number(gte=2, lte=24 * 14))]
Speed = Annotated[float, Parameter(help="Shop hours a second, while you watch.", validator=validators.Number(gt=0))]
Port = Annotated[int, Parameter(help="Of the page to read the mails in; 0 for any that is free.")]

SAY_EVERY = 5.0
"""Seconds between two lines where there is no terminal to draw on."""


async def demo(
    *,
    once: Once = False,
    seed: Seed = 1,
    shoppers: Shoppers = 200,
    hours: Hours = 72,
    speed: Speed = 1.0,
    mailbox_port: Port = 0,
    as_json: AsJson = False,
) -> int:
    """See it work, with nothing but Python: real tillbell, make-believe shop. Nothing leaves this machine."""
    stop = stopping()
    plot = Plot(seed, shoppers, hours, 0.0 if once else speed, mailbox_port)
    watch, out = Watch(), Console(stderr=True, highlight=False) if as_json else console()
    with shown(watch, out) as live:
        async with staged(plot, watch) as stage:
            watch.stage = stage
            seconds = await played(stage, stop, out if not live.is_started else None)
            live.update(watch, refresh=True)
            live.stop()
            told = await outcome(stage, seconds)
            if as_json:
                print_json(told)
            else:
                out.print(*view.summary(told), sep="\n")
            if not once and not stop.is_set():
                out.print(f"\nThe mailbox stays open at {stage.reading_url} until Ctrl-C.")
                await stop.wait()
    return FINDINGS if told["findings"] else FINE


def stopping() -> asyncio.Event:
    """Set by Ctrl-C and SIGTERM: the demo then ends in order, its servers too."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop.set)
    return stop


def shown(watch: Watch, out: Console) -> Live:
    """Draws on a terminal; elsewhere it never starts."""
    live = Live(watch, console=out, refresh_per_second=8, transient=False)
    return live if out.is_terminal else Unseen(watch, console=out)


class Unseen(Live):
    """For a file or a pipe, which is no place for moving pictures."""

    def start(self, refresh: bool = False) -> None:
        """Not here."""


async def played(stage: Stage, stop: asyncio.Event, out: Console | None) -> float:
    """Until the story ends or somebody ends it; how many seconds that took. `out`: where to say how far it is."""
    story = asyncio.ensure_future(timed(stage))
    ended = asyncio.ensure_future(stop.wait())
    waiting: set[asyncio.Future[Any]] = {story, ended}
    while not story.done() and not ended.done():
        await asyncio.wait(waiting, timeout=SAY_EVERY, return_when=asyncio.FIRST_COMPLETED)
        if out is not None:
            out.print(f"{view.clock(stage.town.now, '%A %H:%M')}: {stage.town.tally['mailed']} mails")
    ended.cancel()
    if story.done():
        return story.result()
    story.cancel()
    await asyncio.wait([story])
    await stage.daemon.finished()
    await stage.town.read_mail()
    return 0.0
