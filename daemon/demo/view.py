"""What the demo looks like in a terminal: a funnel, the last things that happened, and where to read the mails."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

from rich.console import Console, ConsoleOptions, Group, RenderableType, RenderResult
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from daemon.demo.play import HOME, Stage
from daemon.demo.town import Line

BAR = 15
MOST_LINES, FEWEST_LINES, OTHER_LINES = 22, 8, 6
SIGNS: Mapping[str, tuple[str, str]] = {
    "left": ("◌", "yellow"),
    "enrolled": ("◆", "cyan"),
    "mailed": ("✉", "blue"),
    "texted": ("☎", "magenta"),
    "allowed": ("◇", "magenta"),
    "pushed": ("◈", "magenta"),
    "noticed": ("▣", "magenta"),
    "said stop": ("✖", "bold red"),
    "answered": ("↩", "cyan"),
    "opened": ("◉", "white"),
    "clicked": ("➜", "bright_cyan"),
    "bought": ("✔", "bold green"),
    "stopped": ("■", "green"),
    "changed": ("↻", "yellow"),
    "emptied": ("✖", "red"),
    "unsubscribed": ("✖", "bold red"),
    "took back": ("↻", "red"),
    "prefetched": ("⚙", "bright_black"),
    "scanned": ("⚙", "bright_black"),
}
REASONS: Mapping[str, str] = {
    "purchase": "they bought",
    "emptied": "they emptied the cart",
    "unsubscribed": "they unsubscribed",
    "bounced": "the address is gone",
    "not_allowed": "nothing allows to write",
    "no_step_left": "all was said",
    "expired": "too late by now",
}


class Watch:
    """Listens to the daemon's log and counts."""

    def __init__(self) -> None:
        self.counts: Counter[str] = Counter()
        self.ends: Counter[str] = Counter()
        self.stage: Stage | None = None

    def __call__(self, told: Mapping[str, Any]) -> None:
        match told.get("event"):
            case "enrolled":
                self._enrolled(int(told.get("recoveries", 0)), int(told.get("held_out", 0)))
            case "stopped" if "recovery" in told or told.get("kind") == "unsubscribed":
                reason = str(told.get("because") or told.get("kind"))
                self.ends[reason] += 1
                self._line("stopped", f"tillbell falls silent: {REASONS.get(reason, reason.replace('_', ' '))}")

    def _enrolled(self, recoveries: int, held_out: int) -> None:
        self.counts["recoveries"] += recoveries
        self.counts["held out"] += held_out
        carts = "a cart at rest becomes a recovery" if recoveries == 1 else f"{recoveries} carts become recoveries"
        aside = f", {held_out} held out" if held_out else ""
        self._line("enrolled", f"tillbell: {carts}{aside}")

    def _line(self, word: str, text: str) -> None:
        if self.stage is not None:
            self.stage.town.lines.append(Line(self.stage.town.now, word, text))

    def __rich_console__(self, console: Console, _: ConsoleOptions) -> RenderResult:
        if self.stage is None:
            yield Text("starting PostgreSQL, Valkey and tillbell …", style="bright_black")
        else:
            yield screen(self.stage, self, min(MOST_LINES, max(FEWEST_LINES, console.height - OTHER_LINES)))


def screen(stage: Stage, watch: Watch, lines: int) -> RenderableType:
    """One look at the story, for a terminal of 100 columns or more. `lines`: of what happened last."""
    columns = Table.grid(expand=True, padding=(0, 3, 0, 0))
    columns.add_column(width=45)
    columns.add_column(ratio=1)
    left = Group(*section("Carts won back", funnel(stage, watch)), *section("Silent, because", ends(watch)))
    columns.add_row(left, Group(*section("What happens", happenings(stage.town.lines, lines))))
    return Group(head(stage), columns, foot(stage))


def section(title: str, body: RenderableType) -> Iterator[RenderableType]:
    """A part of the screen under its title."""
    yield Text()
    yield Rule(Text(title, style="bold"), align="left", style="bright_black")
    yield body


def head(stage: Stage) -> RenderableType:
    """The shop's clock, and how far the story is."""
    town, hours = stage.town, stage.plot.hours
    passed = min(hours, (town.now - town.start).total_seconds() / 3600)
    line = Table.grid(expand=True, padding=(0, 2))
    line.add_column(no_wrap=True)
    line.add_column(no_wrap=True)
    line.add_column(ratio=1)
    line.add_row(
        Text.assemble((" tillbell ", "bold black on green"), " demo"),
        Text.assemble((clock(town.now, "%A %H:%M"), "bold"), (f"   hour {passed:.0f} of {hours}", "bright_black")),
        ProgressBar(total=hours, completed=passed, complete_style="green", finished_style="green"),
    )
    return line


def funnel(stage: Stage, watch: Watch) -> Table:
    """How many came how far."""
    tally = stage.town.tally
    rows: Sequence[tuple[str, int, str]] = (
        ("carts left behind", tally["left"], "yellow"),
        ("at rest: recoveries", watch.counts["recoveries"], "cyan"),
        ("  held out to compare", watch.counts["held out"], "bright_black"),
        ("mails in the mailbox", tally["mailed"], "blue"),
        ("texts, pushes, notices", tally["texted"] + tally["pushed"] + tally["noticed"], "magenta"),
        ("  mails read", tally["opened"], "white"),
        ("  links followed", tally["clicked"], "bright_cyan"),
        ("  seen by machines", tally["prefetched"] + tally["scanned"], "bright_black"),
        ("carts bought", tally["bought"], "green"),
        ("  after a message", stage.town.prompted, "bold green"),
    )
    most = max(1, *(number for _, number, _ in rows))
    table = Table.grid(padding=(0, 1))
    table.add_column(width=22)
    table.add_column(justify="right", width=4)
    table.add_column(no_wrap=True)
    for label, number, style in rows:
        filled = round(BAR * number / most)
        table.add_row(
            Text(label), Text(str(number), style="bold"), Text("━" * max(filled, int(number > 0)), style=style)
        )
    return table


def ends(watch: Watch) -> RenderableType:
    """Why recoveries ended."""
    table = Table.grid(padding=(0, 1))
    table.add_column(width=22)
    table.add_column(justify="right", width=4)
    for reason, number in watch.ends.most_common(7):
        table.add_row(REASONS.get(reason, reason.replace("_", " ")), Text(str(number), style="bold"))
    return table if watch.ends else Text("nobody yet", style="bright_black")


def happenings(lines: Sequence[Line], most: int) -> Table:
    """The newest at the bottom."""
    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(style="bright_black", no_wrap=True, width=9)
    table.add_column(no_wrap=True, width=1)
    table.add_column(no_wrap=True, overflow="ellipsis", ratio=1)
    for line in list(lines)[-most:]:
        sign, style = SIGNS.get(line.word, ("·", "white"))
        quiet = "bright_black" if style == "bright_black" else ""
        table.add_row(clock(line.at, "%a %H:%M"), Text(sign, style=style), Text(line.text, style=quiet))
    return table


def foot(stage: Stage) -> Text:
    return Text.assemble(
        "\n",
        ("mails ", "bright_black"),
        (stage.reading_url, f"bold blue underline link {stage.reading_url}"),
        ("   shop ", "bright_black"),
        (stage.shop.url, f"blue underline link {stage.shop.url}"),
        ("   Ctrl-C ends", "bright_black"),
    )


def summary(told: Mapping[str, Any]) -> Iterator[RenderableType]:
    """The end of the story, from the outcome of `daemon.demo.outcome`."""
    counts = told["counts"]
    yield Text.assemble(
        "\n",
        (" The story is over. ", "bold black on green"),
        f" {told['hours']} hours of shop time in {told['seconds']:.0f} seconds, seed {told['seed']}\n",
    )
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for label, value, remark in (
        ("carts left behind", counts["left"], ""),
        ("recoveries", counts["recoveries"], f"{counts['held_out']} held out, to see what happens without us"),
        ("mails", counts["mails"], "each accepted once, each found in the mailbox once"),
        ("texts", counts["texts"], "to who agreed and did not react to the first mail; never at night"),
        ("web pushes", counts["pushes"], "decrypted in their browsers"),
        ("notices", counts["notices"], "in the shop, to who came back by themselves"),
        ("ad audiences", counts["ads_wanted"], _uploaded(counts["ads_uploaded"])),
        ("won back", counts["won_back"], "bought after a message"),
        ("unsubscribed", counts["unsubscribed"], "by people; filters that follow every link unsubscribed nobody"),
        ("said STOP", counts["stopped"], "and got nothing more, by no channel"),
    ):
        table.add_row(label, Text(str(value), style="bold"), Text(remark, style="bright_black"))
    yield table
    for name, groups in (("recoveries ended", told["ends"]), ("hits", told["hits"])):
        yield Text.assemble("\n", (f"{name}: ", "bold"), ", ".join(f"{word} {n}" for word, n in groups.items()))
    for finding in told["findings"]:
        yield Text(f"✖ {finding}", style="bold red")
    if not told["findings"]:
        yield Text("\n✔ the books are clean", style="bold green")


def _uploaded(number: int) -> str:
    """What became of the people wanted in an ad audience."""
    return f"people; {number} are at the platforms" if number else "people, fewer than the hundred that may be uploaded"


def clock(at: datetime, form: str) -> str:
    """The shop's time of day."""
    return at.astimezone(HOME).strftime(form)
