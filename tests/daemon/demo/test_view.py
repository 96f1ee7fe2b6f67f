"""What the demo shows in a terminal fits it, and says what happens."""

import io
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path

import pytest
from rich.console import Console

from daemon.demo import view
from daemon.demo.mailbox import Mailbox
from daemon.demo.play import Plot, Stage
from daemon.demo.pockets import Pockets
from daemon.demo.process import Daemon
from daemon.demo.receivers import Receivers
from daemon.demo.shop import PretendShop
from daemon.demo.shoppers import population
from daemon.demo.town import Town
from daemon.demo.view import Watch

MONDAY = datetime(2026, 3, 2, 7, tzinfo=UTC)


@pytest.fixture
async def stage(tmp_path: Path) -> AsyncIterator[Stage]:
    """A town without a daemon, in which forty people have left their carts."""
    async with PretendShop(lambda: MONDAY) as shop:
        mailbox = Mailbox(lambda: MONDAY)
        town = Town(shop, mailbox, population(1, 40, 72), MONDAY)
        town.now = datetime(2026, 3, 3, 17, tzinfo=UTC)
        await town.act()
        receivers = Receivers()
        pockets = Pockets(town, receivers.twilio, receivers.pushes, "", "")
        daemon = Daemon({}, "", "", tmp_path / "log")
        here = "http://here.example"
        yield Stage(Plot(shoppers=40), town, shop, mailbox, receivers, pockets, daemon, here, tmp_path)


def shown(watch: Watch, width: int, height: int) -> list[str]:
    console = Console(width=width, height=height, file=io.StringIO(), record=True, force_terminal=True)
    console.print(watch)
    return console.export_text().splitlines()


@pytest.mark.parametrize(("width", "height"), [(80, 24), (100, 30), (160, 50)])
async def test_it_fits_the_terminal(stage: Stage, width: int, height: int) -> None:
    watch = Watch()
    watch.stage = stage
    lines = shown(watch, width, height)
    assert len(lines) <= height
    assert max(len(line) for line in lines) <= width
    assert "http://here.example" in lines[-1]


async def test_the_log_of_tillbell_becomes_sentences(stage: Stage) -> None:
    watch = Watch()
    watch.stage = stage
    watch({"event": "enrolled", "recoveries": 3, "held_out": 1})
    watch({"event": "stopped", "recovery": 7, "because": "purchase"})
    watch({"event": "stopped", "kind": "unsubscribed", "message": 7})
    watch({"event": "stopped", "shop": "x", "expired": 1})
    watch({"event": "no JSON at all"})
    text = "\n".join(shown(watch, 120, 40))
    assert "tillbell: 3 carts become recoveries, 1 held out" in text
    assert "tillbell falls silent: they bought" in text
    assert watch.ends == {"purchase": 1, "unsubscribed": 1}
    assert watch.counts == {"recoveries": 3, "held out": 1}


def test_before_the_story_begins() -> None:
    assert shown(Watch(), 80, 24)[0].startswith("starting PostgreSQL")


@pytest.mark.parametrize(
    ("findings", "word"),
    [
        pytest.param([], "✔ the books are clean", id="all is well"),
        pytest.param(["shopper 3 got a step twice"], "✖ shopper 3 got a step twice", id="something is not"),
    ],
)
def test_the_summary_says_how_it_went(findings: list[str], word: str) -> None:
    told = {
        **{"hours": 72, "seconds": 50.0, "seed": 1, "ends": {"purchase": 2}, "hits": {"clicked human": 2}},
        "counts": {
            "left": 9,
            "recoveries": 8,
            "held_out": 1,
            "mails": 9,
            "won_back": 2,
            "unsubscribed": 1,
            "texts": 3,
            "pushes": 2,
            "notices": 4,
            "ads_wanted": 5,
            "ads_uploaded": 0,
            "stopped": 1,
        },
        "findings": findings,
    }
    console = Console(width=100, file=io.StringIO(), record=True)
    console.print(*view.summary(told), sep="\n")
    text = console.export_text()
    assert word in text
    assert ("books are clean" in text) == (not findings)
