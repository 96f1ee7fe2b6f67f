"""`tillbell rules`: check the rule files, show a merged policy, try one on a made-up cart."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Annotated

from cyclopts import App, Parameter
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from daemon import settings
from daemon.book import Book, load
from daemon.cli.exits import CONFIGURATION, FINDINGS, FINE, USAGE
from daemon.errors import ConfigurationError
from daemon.shops import discover
from rules.enrolment import would_start
from rules.facts import Question, Send, Stop, Verdict, Wait
from rules.hours import zone_of
from rules.ladder import decide
from rules.law import NOTICE, PROFILES
from rules.policy import Policy
from rules.reader import shown
from rules.situation import Situation, instant, read_situation
from rules.source import Mistake

app = App(name="rules", help="Check, show and try the rule files.")
Folder = Annotated[
    Path | None, Parameter(name="--rules", help="Folder of the rule files; by default TILLBELL_RULES_DIR.")
]
AsJson = Annotated[bool, Parameter(name="--json", negative="", help="Print JSON.")]


@app.command
def check(folder: Path | None = None, /, *, secrets: bool = True) -> int:
    """Read all rule files and say every mistake with its place.

    Parameters
    ----------
    folder
        Folder of the rule files; by default TILLBELL_RULES_DIR.
    secrets
        With --no-secrets, `${NAME}` and files of secrets are left open, as on a machine that has none.
    """
    try:
        where = folder or settings.read().rules_dir
        book = load(where, dict(os.environ) if secrets else None, discover())
    except ConfigurationError as error:
        return _refused(error)
    mistakes = book.mistakes or _too_long(book, where)
    for mistake in mistakes:
        _out().print(_mistake(str(mistake)))
    if mistakes:
        return FINDINGS
    for name, serving in book.policies_by_shop.items():
        policies = ", ".join(policy.name for policy in serving) or "no policy, so nothing starts here"
        _out().print(f"{name} ({book.shops[name].mode}): {policies}", highlight=False)
    return FINE


def _too_long(book: Book, where: Path) -> tuple[Mistake, ...]:
    """Texts that fit into no number of parts that their policy allows."""
    if not any(step.send == "sms" for policy in book.policies.values() for step in policy.steps):
        return ()
    from daemon.flow import texts  # noqa: PLC0415  slow to import, and most policies send no texts
    from daemon.mail.texts import load_voices  # noqa: PLC0415  as above

    return tuple(texts.mistakes(book, load_voices(where / "templates"), ""))


@app.command
def show(policy: str, /, *, rules: Folder = None) -> int:
    """Print a policy as it decides, each line with the file it comes from.

    Parameters
    ----------
    policy
        Its name: the name of its file without `.yaml`.
    """
    try:
        book = _book(rules)
    except ConfigurationError as error:
        return _refused(error)
    if policy not in book.trees:
        return _unknown(policy, book)
    lines = shown(book.trees[policy])
    width = min(max(len(line) for line, _ in lines), 100)
    for line, origin in lines:
        _out().print(Text.assemble(f"{line:<{width}}  ", (f"# {origin}", "dim")), soft_wrap=True)
    found = book.policies.get(policy)
    _out().print(Text(f"# hash {found.hash}" if found else "# it has mistakes: tillbell rules check", "dim"))
    return FINE if found else FINDINGS


@app.command
def law(profile: str = "", /) -> int:
    """Print the rules of the country profiles, each with its source and when it was noted.

    Parameters
    ----------
    profile
        One of them, like `de`; by default all.
    """
    if profile and profile not in PROFILES:
        _err().print(f'there is no profile "{profile}"; there are: {", ".join(PROFILES)}', highlight=False)
        return USAGE
    _out().print(NOTICE, style="bold", highlight=False)
    for one in PROFILES.values():
        if profile in ("", one.name):
            _out().print(f"\n[bold]{one.name}[/]: {escape(one.title)}", highlight=False)
            for rule in one.every_rule():
                _out().print(f"* {escape(str(rule))}", highlight=False)
    return FINE


@app.command(name="try")
def try_(cart: Path, /, *, at: str, policy: str | None = None, rules: Folder = None, as_json: AsJson = False) -> int:
    """Put the questions of a policy to a made-up cart, and print them with the answer.

    Parameters
    ----------
    cart
        A cart.json; docs/examples/cart.json is one, docs/rules.md tells its words.
    at
        When: `+26h` after the cart's last change, or a time like 2026-05-04T10:00:00+02:00.
    policy
        Name of the policy; may be left out where there is only one.
    """
    try:
        book = _book(rules)
        situation = _situation(cart)
        now = instant(at, situation.cart.changed_at)
    except ConfigurationError as error:
        return _refused(error)
    except ValueError as error:
        _err().print(f'--at: {error}; write "+26h" or a time like 2026-05-04T10:00:00+02:00', highlight=False)
        return USAGE
    policies = {found.name: found for serving in book.policies_by_shop.values() for found in serving} or book.policies
    name = policy or (next(iter(policies)) if len(policies) == 1 else "")
    if name not in policies:
        return _unknown(name, book)
    tried = _Try(policies[name], situation, now)
    tried.as_json() if as_json else tried.tell()
    return FINE


class _Try:
    """One policy, one situation, one instant."""

    def __init__(self, policy: Policy, situation: Situation, now: datetime) -> None:
        facts = situation.told(policy)
        self.policy, self.now, self.zone = policy, now, zone_of(facts.person.zone, facts.shop_zone)
        self.start = would_start(policy, facts, max(facts.started_at, facts.cart.changed_at + policy.starts.rests_for))
        self.verdict = decide(policy, facts, now)

    def as_json(self) -> None:
        answer = {
            "policy": self.policy.name,
            "policy_hash": self.policy.hash,
            "at": self.now,
            "starts": [asdict(question) for question in self.start],
            "verdict": type(self.verdict).__name__.lower(),
            **asdict(self.verdict),
        }
        sys.stdout.write(json.dumps(answer, default=_plain, ensure_ascii=False, indent=2) + "\n")

    def tell(self) -> None:
        _out().print(f"[bold]{self.policy.name}[/] at {self._local(self.now)}", highlight=False)
        _out().print(_table("Would the cart start a recovery?", self.start))
        _out().print(_table("What about it now?", self.verdict.questions))
        _out().print(Text(self._answer(self.verdict), "bold"), soft_wrap=True)

    def _answer(self, verdict: Verdict) -> str:
        match verdict:
            case Send():
                said = f"Send {verdict.step} by {verdict.channel}, not after {self._local(verdict.not_after)}"
                return f"{said}: {verdict.because}. Basis: {verdict.basis.evidence}."
            case Wait():
                return f"Wait until {self._local(verdict.until)}: {verdict.because}."
            case Stop():
                return f"Stop ({verdict.reason}): {verdict.because}."

    def _local(self, at: datetime) -> str:
        return f"{at.astimezone(self.zone):%a %Y-%m-%d %H:%M} {self.zone.key}"


def _table(title: str, questions: tuple[Question, ...]) -> Table:
    table = Table(title=title, title_justify="left", box=None, pad_edge=False)
    for heading in ("", "question", "answer", "step"):
        table.add_column(heading, overflow="fold")
    for question in questions:
        mark = Text("✓", "green") if question.passed else Text("✗", "red")
        table.add_row(mark, escape(question.asked), escape(question.answer), question.step)
    return table


def _book(folder: Path | None) -> Book:
    """Without secrets: neither show nor try talks to a shop."""
    return load(folder or settings.read().rules_dir, None, None)


def _situation(path: Path) -> Situation:
    try:
        found = read_situation(path.read_text("utf-8-sig"), path.name)
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read: {error}") from None
    if isinstance(found, tuple):
        raise ConfigurationError("\n".join(map(str, found)))
    return found


def _unknown(policy: str, book: Book) -> int:
    names = ", ".join(sorted(book.trees)) or "none"
    _err().print(f'there is no policy "{policy}"; there are: {names}' if policy else f"--policy: which of {names}?")
    return USAGE


def _refused(error: ConfigurationError) -> int:
    _err().print(str(error), style="red", highlight=False, soft_wrap=True, markup=False)
    return CONFIGURATION


def _mistake(text: str) -> Text:
    place, _, sentence = text.partition(": ")
    return Text.assemble((place, "bold"), ": ", sentence)


def _plain(value: object) -> str:
    return value.isoformat() if isinstance(value, datetime) else str(value)


def _out() -> Console:
    return Console(soft_wrap=True)


def _err() -> Console:
    return Console(stderr=True, soft_wrap=True)
