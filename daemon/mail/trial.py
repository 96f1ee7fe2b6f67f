"""Tries an operator's templates where they can do no harm: in a process of its own, with little memory and time.

What the daemon then loads has been read, compiled and rendered once before, in every language, with full values. The
shipped templates are tried by the tests instead.
"""

from __future__ import annotations

import dataclasses
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterator, Mapping
from html import unescape
from pathlib import Path

import daemon
from daemon.mail.context import MailContext, Rendered
from daemon.mail.errors import Finding, MailError, TemplateError, named
from daemon.mail.render import render
from daemon.mail.sample import sample, tracking
from daemon.mail.template import Sources, Template, gathered, load, made
from daemon.mail.words import Language

SECONDS = 1.0
"""Machine time for the reading of all templates, and again for each one's rendering."""
MEMORY = 128 * 1024 * 1024
"""Bytes beyond what the process has when it begins."""
PATIENCE = 60.0
"""Seconds on the clock for the whole trial, on a machine that has much else to do."""
LARGEST = 2 * 1024 * 1024
"""Bytes of all files together."""
PROCESS = "import sys; from daemon.mail import trial; sys.exit(trial.main(trial.Path(sys.argv[1])))"
NAME = "»Straße« & <b>{{ 7 * 7 }}</b> \u05e9\u05dc\u05d5\u05dd 🎁 " + "w" * 200


def findings(own: Path) -> list[Finding]:
    """What is wrong with the templates in this folder; empty when they can be loaded. Never raises for their sake."""
    files = [path for path in sorted(own.rglob("*")) if path.suffix in (".mjml", ".txt", ".yaml") and path.is_file()]
    if not files:
        return []
    size = sum(path.stat().st_size for path in files)
    if size > LARGEST:
        return [Finding(named(own / "*"), 0, f"{size} bytes of templates; {LARGEST} are taken")]
    try:
        done = subprocess.run(
            [sys.executable, "-c", PROCESS, str(own.resolve())],
            capture_output=True,
            timeout=PATIENCE,
            env={**os.environ, "PYTHONPATH": str(Path(daemon.__file__).parents[1])},
            check=False,
        )
    except subprocess.TimeoutExpired as late:
        return [gave_up(late.stdout or b"", own)]
    reports = said(done.stdout)
    if not reports or "findings" not in reports[-1]:
        return [gave_up(done.stdout, own)]
    return [Finding(str(one["file"]), int(one["line"]), str(one["says"])) for one in reports[-1]["findings"]]


def load_tried(own: Path | None) -> dict[str, Template]:
    """As `load`, but what an operator brought is tried first; takes half a second then, so call it in a thread.
    Raises `TemplateError`."""
    if own is not None and (found := findings(own)):
        raise TemplateError(found)
    return load(own)


def gave_up(output: bytes, own: Path) -> Finding:
    """The process was ended by its limits: the last word it said names what it was at."""
    last = [report["trying"] for report in said(output) if "trying" in report]
    at = own / f"{last[-1]}.mjml" if last else own / "*"
    return Finding(named(at), 0, f"takes more than {SECONDS:.0f} s or {MEMORY // 1024 // 1024} MB; make it simpler")


def said(output: bytes) -> list[dict[str, list[dict[str, str | int]]]]:
    return [json.loads(line) for line in output.decode(errors="replace").splitlines() if line.startswith("{")]


def limit() -> None:
    """No more memory than `MEMORY` from here on, no files written, no core left behind."""
    with Path("/proc/self/statm").open() if sys.platform == "linux" else Path(os.devnull).open() as pages:
        now = int((pages.read() or "0").split()[0]) * resource.getpagesize()
    if now:
        resource.setrlimit(resource.RLIMIT_AS, (now + MEMORY, now + MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def tried(template: Template) -> Iterator[Finding]:
    for language in template.voices:
        for context in hard(language):
            try:
                mail = render(template, context, tracking())
                yield from missing(template.name, context, mail)
            except (
                MailError,
                ValueError,
                TypeError,
                ArithmeticError,
                LookupError,
                MemoryError,
                RecursionError,
            ) as error:
                yield Finding(f"templates/{template.name}.mjml", 0, f"in {language}: {error or type(error).__name__}")
                return


def missing(name: str, context: MailContext, mail: Rendered) -> Iterator[Finding]:
    """What no mail may be without, although its template mentions it."""
    for file, part in ((f"templates/{name}.mjml", unescape(mail.html)), (f"templates/{name}.txt", mail.text)):
        if context.unsubscribe_url not in part:
            yield Finding(file, 0, f"in {mail.language}: a mail came out without its unsubscribe link")
        if not all(line in part for line in context.imprint):
            yield Finding(file, 0, f"in {mail.language}: a mail came out without its imprint")


def hard(language: str) -> Iterator[MailContext]:
    """A usual cart, a rehearsal with one line, and the fullest one there can be."""
    yield sample(language, 3)
    yield sample(language, 1, rehearsal=True)
    full = sample(language, 12)
    lines = tuple(dataclasses.replace(line, name=NAME, options=NAME, in_stock=False) for line in full.lines)
    yield dataclasses.replace(full, lines=lines, total=None, first_name="")


def clocked() -> None:
    """The system ends this process when the next second of its own work is over."""
    signal.setitimer(signal.ITIMER_PROF, SECONDS)


def main(own: Path) -> int:
    load()  # what is shipped is compiled before the clock runs
    limit()
    found: list[Finding] = []
    try:
        clocked()
        sources, languages = gathered(own)
        for name in sources.names():
            say({"trying": name})
            clocked()
            found += attempt(name, sources, languages)
    except (TemplateError, MemoryError, RecursionError) as error:
        found += mistakes(error, own / "*")
    say({"findings": [dataclasses.asdict(finding) for finding in sorted(set(found))]})
    return 0


def attempt(name: str, sources: Sources, languages: Mapping[str, Language]) -> list[Finding]:
    try:
        return list(tried(made(name, sources, languages)))
    except (TemplateError, MemoryError, RecursionError) as error:
        return mistakes(error, Path(sources.called[f"{name}.mjml"]))


def mistakes(error: BaseException, at: Path) -> list[Finding]:
    if isinstance(error, TemplateError):
        return list(error.findings)
    return [Finding(named(at), 0, f"cannot be taken: {error!r}")]


def say(report: dict[str, object]) -> None:
    print(json.dumps(report), flush=True)
