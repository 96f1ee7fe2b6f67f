"""A mailbox over IMAP (RFC 3501), by the standard library: each call blocks, so it wants a thread."""

from __future__ import annotations

import imaplib
import re
import socket
import ssl
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import date
from typing import Any

PATIENCE = 20.0
"""Seconds for each answer of the server."""
HEAD = 64 * 1024
MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
NUMBER = re.compile(rb"\d{1,10}")


class MailboxError(Exception):
    """The server is away, or does not do what we asked it."""


@dataclass(frozen=True, slots=True)
class Place:
    """How a mailbox is reached. `tls`: implicit, starttls, or none (which is for this machine only)."""

    host: str
    port: int
    tls: str
    user: str
    password: str


class Mailbox:
    """One connection with one folder open at a time."""

    def __init__(self, place: Place) -> None:
        """Connects and logs in. Raises `MailboxError`."""
        with told("connect"):
            self.line = connected(place)
        try:
            with told("log in"):
                self.line.login(place.user, place.password)
        except MailboxError:
            self.close()
            raise

    def select(self, folder: str) -> int:
        """The folder's UIDVALIDITY: numbers of mails mean something only together with it."""
        with told(f"open {folder}"):
            self.asked(self.line.select(quoted(folder)))
            return int(NUMBER.findall((self.line.response("UIDVALIDITY")[1] or [b""])[0] or b"0")[0])

    def behind(self, number: int) -> list[int]:
        """Mails with a higher number than this."""
        with told("search"):
            found = self.asked(self.line.uid("SEARCH", f"UID {number + 1}:*"))
        return [one for one in numbers(found) if one > number]  # `*` is always the last one (RFC 3501 section 6.4.8)

    def since(self, day: date) -> list[int]:
        """Mails that arrived on this day or later."""
        with told("search"):
            return numbers(self.asked(self.line.uid("SEARCH", f"SINCE {day.day}-{MONTHS[day.month - 1]}-{day.year}")))

    def head(self, number: int) -> bytes:
        """The header of a mail, without marking it as read; empty where it is gone."""
        return self.fetched(number, f"BODY.PEEK[HEADER]<0.{HEAD}>")

    def whole(self, number: int, most: int) -> bytes:
        """At most so many octets of it, without marking it as read; empty where it is gone."""
        return self.fetched(number, f"BODY.PEEK[]<0.{most}>")

    def fetched(self, number: int, what: str) -> bytes:
        with told("fetch"):
            found = self.asked(self.line.uid("FETCH", str(number), f"({what})"))
        return next((bytes(one[1]) for one in found if isinstance(one, tuple)), b"")

    def mark_read(self, number: int) -> None:
        with told("mark a mail as read"):
            self.asked(self.line.uid("STORE", str(number), "+FLAGS.SILENT", r"(\Seen)"))

    def move(self, number: int, folder: str) -> None:
        """Into another folder, which is made if it is missing. The mail is copied before it is deleted."""
        with told(f"move a mail to {folder}"):
            if self.copied(number, folder, "MOVE" if "MOVE" in self.line.capabilities else "COPY") == "COPY":
                self.asked(self.line.uid("STORE", str(number), "+FLAGS.SILENT", r"(\Seen \Deleted)"))
                if "UIDPLUS" in self.line.capabilities:
                    self.asked(self.line.uid("EXPUNGE", str(number)))

    def copied(self, number: int, folder: str, verb: str) -> str:
        state, _ = self.line.uid(verb, str(number), quoted(folder))
        if state != "OK":
            self.line.create(quoted(folder))
            self.asked(self.line.uid(verb, str(number), quoted(folder)))
        return verb

    def asked(self, answer: tuple[str, Any]) -> list[Any]:
        state, data = answer
        if state != "OK":
            raise imaplib.IMAP4.error(state)
        return list(data)

    def close(self) -> None:
        """May be called from another thread: whoever waits for an answer gets an error."""
        with suppress(OSError, AttributeError):
            self.line.sock.shutdown(socket.SHUT_RDWR)  # first: who reads holds a lock that closing waits for
        with suppress(OSError, imaplib.IMAP4.error, AttributeError):
            self.line.shutdown()


@contextmanager
def told(what: str) -> Iterator[None]:
    """What went wrong, without what the server said: it may repeat an address or a password."""
    try:
        yield
    except (imaplib.IMAP4.error, OSError, ValueError, IndexError, AttributeError) as error:
        because = type(error).__name__ if isinstance(error, OSError) else "the server refuses"
        raise MailboxError(f"could not {what}: {because}") from error


def connected(place: Place) -> imaplib.IMAP4:
    if place.tls == "implicit":
        return imaplib.IMAP4_SSL(place.host, place.port, ssl_context=ssl.create_default_context(), timeout=PATIENCE)
    line = imaplib.IMAP4(place.host, place.port, timeout=PATIENCE)
    if place.tls == "starttls":
        line.starttls(ssl.create_default_context())
    return line


def numbers(found: list[Any]) -> list[int]:
    return sorted(int(word) for line in found if isinstance(line, bytes) for word in NUMBER.findall(line))


def quoted(folder: str) -> str:
    return '"' + folder.replace("\\", "\\\\").replace('"', '\\"') + '"'
