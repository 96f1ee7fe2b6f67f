"""Logs are sentences with fields: one line a step, ids only. Addresses and tokens are taken out at the last door."""

from __future__ import annotations

import logging
import re
import sys
import traceback
from collections.abc import Mapping, MutableMapping
from contextlib import suppress
from typing import Any, TextIO, cast

import structlog
from structlog.typing import Processor

from daemon.settings import Settings

ADDRESS = re.compile(r"(?:\"[^\"\s]+(?: [^\"\s]+)*\"|[^\s<>\"'(),;:]+)(?:@|%40)[^\s<>\"'(),;:]+", re.IGNORECASE)
PHONE = re.compile(r"(?:(?<![\w.])\+|(?<![\w.-])00)[1-9](?:[ ()/-]{0,2}\d){6,14}")
"""With its country, so no number of ours looks like one."""
TOKEN = re.compile(
    r"(?<![A-Za-z0-9_-])(?:[A-Za-z0-9_-]{40}|[A-Za-z0-9_-]{46}|[A-Za-z0-9_-]{54})(?![A-Za-z0-9_-])"
    r"|(?<![A-Za-z0-9])[A-Za-z2-7]{48}(?![A-Za-z0-9])|(?<=/[ocuspy]/)[A-Za-z0-9_-]{16,}"
)
"""Links of mails, visitors, landings and bounces by their lengths, short links by where they stand."""
OURS = frozenset({"daemon", "channels", "rules"})
"""Where errors come from whose words are written by us, for an operator to read."""
LEVELS = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class Patient:
    """A stream that drops what it cannot write: a full disk, or a reader that is gone, must not stop a worker that has
    just claimed a message."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream

    def write(self, text: str) -> int:
        with suppress(OSError):
            self.stream.write(text)
        return len(text)

    def flush(self) -> None:
        with suppress(OSError):
            self.stream.flush()


def set_up(settings: Settings) -> None:
    """Once per process, to standard error. Other libraries' loggers speak from warnings on: some tell too much."""
    level = LEVELS[settings.log_level]
    pretty = settings.log_format == "console" or (settings.log_format == "auto" and sys.stderr.isatty())
    last: list[Processor] = [structlog.dev.ConsoleRenderer()] if pretty else [structlog.processors.JSONRenderer()]
    out = cast(TextIO, Patient(sys.stderr))
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
        trace,
        redact,
    ]
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(out),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(out)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(max(level, logging.WARNING))
    logging.getLogger("asyncpg").setLevel(logging.CRITICAL)  # a traceback at each try while the server is away


def told(error: BaseException) -> str:
    """What may be said of an error in a log or a `problem`: the words of our own errors and of the system's. Of all
    others, PostgreSQL's too, the kind and the place: their words hold values, and values may be people."""
    kind = type(error).__name__
    if isinstance(error, (OSError, TimeoutError)) or type(error).__module__.partition(".")[0] in OURS:
        return clean(f"{kind}: {error}" if str(error) else kind)
    more = [
        str(value) for name in ("sqlstate", "table_name", "constraint_name") if (value := getattr(error, name, None))
    ]
    frames = traceback.extract_tb(error.__traceback__)
    place = [f"{frames[-1].filename}:{frames[-1].lineno}"] if frames else []
    return f"{kind} ({', '.join([*more, *place])})" if more or place else kind


def trace(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """The way of an error through the code, and of those before it, without their words."""
    info = event.pop("exc_info", None)
    error = info[1] if isinstance(info, tuple) else info if isinstance(info, BaseException) else sys.exc_info()[1]
    if not info or error is None:
        return event
    lines: list[str] = []
    while error is not None and len(lines) < 200:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [*(f"{frame.filename}:{frame.lineno} {frame.name}" for frame in frames), told(error), *lines]
        error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    event["exception"] = "\n".join(lines)
    return event


def redact(_: object, __: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """No address and no token leaves in a log line, whoever wrote it."""
    for key, value in event.items():
        if not key.startswith("_"):  # what structlog itself needs until the end
            event[key] = _cleaned(value)
    return event


def _cleaned(value: object) -> object:
    """Whatever a line may hold; what is no text, number or collection is told as its text would be."""
    if isinstance(value, str):
        return clean(value)
    if value is None or isinstance(value, (bool, int, float)):
        return value
    if isinstance(value, BaseException):
        return told(value)
    if isinstance(value, Mapping):
        return {clean(str(key)): _cleaned(one) for key, one in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_cleaned(one) for one in value]
    return clean(repr(value))


def clean(text: str) -> str:
    """The text without what may be an e-mail address, a telephone number or one of our tokens."""
    return TOKEN.sub("[token]", PHONE.sub("[number]", ADDRESS.sub("[address]", text)))
