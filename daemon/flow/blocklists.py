"""Lists that other systems kept: plain addresses, and CSV exports of MailBeez' tables of blocks, bounces and sends."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Literal

from email_validator import EmailNotValidError, validate_email

from daemon.errors import ConfigurationError

Form = Literal["auto", "plain", "mailbeez-block", "mailbeez-bounces", "mailbeez-tracking"]
ADDRESS_COLUMNS = ("customers_email", "customers_email_address", "email", "email_address", "address")
MOST_PROBLEMS = 20


@dataclass(frozen=True, slots=True)
class Listed:
    """One address with the reason it is on the list."""

    address: str
    reason: str
    at: datetime | None


@dataclass(slots=True)
class Reading:
    form: str
    suppressed: list[Listed] = field(default_factory=list)
    sent: list[Listed] = field(default_factory=list)
    """Of mailbeez-tracking: who was written to, and when."""
    problems: list[str] = field(default_factory=list)


def read_list(file: Path, form: Form, now: datetime) -> Reading:
    """The list in FILE; lines that cannot be read are named and left out. Raises ConfigurationError for no list."""
    try:
        text = file.read_text("utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{file}: cannot be read as UTF-8 text: {error}") from None
    head = text.split("\n", 1)[0].strip().lower()
    known = guess(head) if form == "auto" else form
    reading = Reading(known)
    for number, row in rows(text, known):
        take(reading, f"{file}:{number}", row, now)
    return reading


def guess(head: str) -> Form:
    """By the columns that MailBeez' tables have (mailbeez_block, mailbeez_bounces, mailbeez_tracking)."""
    columns = {name.strip(' "') for name in head.replace(";", ",").split(",")}
    if "date_block" in columns:
        return "mailbeez-block"
    if "bounce_status" in columns and "date_sent" in columns:
        return "mailbeez-tracking"
    if "bounce_type" in columns or "bounce_status" in columns:
        return "mailbeez-bounces"
    return "plain"


def rows(text: str, form: str) -> Iterator[tuple[int, Mapping[str, str]]]:
    """(line number, columns by name); a plain list has the one column `email`."""
    head = text.split("\n", 1)[0]
    if form == "plain" and not any(name in head.lower() for name in ADDRESS_COLUMNS):
        for number, line in enumerate(text.splitlines(), 1):
            if line.strip() and not line.startswith("#"):
                yield number, {"email": line.strip()}
        return
    delimiter = ";" if head.count(";") > head.count(",") else ","
    for number, row in enumerate(csv.DictReader(text.splitlines(), delimiter=delimiter), 2):
        yield number, {(key or "").strip().lower(): (value or "").strip() for key, value in row.items() if key}


def take(reading: Reading, place: str, row: Mapping[str, str], now: datetime) -> None:
    if row.get("simulation") not in (None, "", "0"):
        return  # a simulated block or send never reached the customer
    written = next((row[name] for name in ADDRESS_COLUMNS if row.get(name)), "")
    if mistake := not_an_address(written):
        problem(reading, f"{place}: {mistake}")
        return
    address = written
    if reading.form == "mailbeez-tracking":
        reading.sent.append(Listed(address, "written to by MailBeez", moment(row.get("date_sent", ""), now)))
        if row.get("bounce_status", "").upper().startswith("H"):
            reading.suppressed.append(Listed(address, "hard bounce (MailBeez)", None))
    elif reading.form == "mailbeez-bounces":
        kind = (row.get("bounce_type") or row.get("bounce_status") or "").lower()
        if kind.startswith(("h", "block")):
            reading.suppressed.append(
                Listed(address, "hard bounce (MailBeez)", moment(row.get("date_bounce", ""), now))
            )
    else:
        source = (
            row.get("source") or row.get("reason") or ("blocked (MailBeez)" if "block" in reading.form else "imported")
        )
        reading.suppressed.append(Listed(address, source[:200], moment(row.get("date_block", ""), now)))


def not_an_address(written: str) -> str:
    """What is wrong with it, or nothing. It is kept as written: so the shop knows it too."""
    try:
        validate_email(written, check_deliverability=False, test_environment=True)
    except EmailNotValidError as error:
        return f"{written[:60]!r} is not an e-mail address: {error}"
    return ""


def problem(reading: Reading, text: str) -> None:
    if len(reading.problems) < MOST_PROBLEMS:
        reading.problems.append(text)
    elif len(reading.problems) == MOST_PROBLEMS:
        reading.problems.append("… and more lines like these")


def moment(text: str, now: datetime) -> datetime | None:
    """A MySQL date or datetime, taken as UTC; None for a zero date or none. Never later than now."""
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return min(at if at.tzinfo else at.replace(tzinfo=UTC), now)
