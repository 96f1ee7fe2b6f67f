"""Machines that stand at one switch: each is a network namespace with a cable of its own, which can be pulled.

The switch is a bridge with two addresses, one for PostgreSQL and Valkey, one for the relay; they listen there, and
nothing is between them and the machines. 198.18.0.0/15 is for such tests (RFC 2544). What a test process that was
killed has left is taken away by the next one.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit, urlunsplit

import pytest

from tests.conftest import lacks

OURS = re.compile(r"\btb(\d+)(?:n\d+)?\b")
NOWHERE = "02:00:00:00:00:66"
"""A hardware address that no card has."""


class Refused(Exception):
    """The system does not do what `ip` asked for."""


def network_maker(needs_program: Callable[[str], str]) -> str:
    """The program `ip`, for whoever may use it: others are skipped, also in CI; root lacks nothing there."""
    if os.geteuid() != 0:
        pytest.skip("only root makes networks")
    return needs_program("ip")


@dataclass
class Switch:
    """A bridge of this machine."""

    ip: str
    name: str = field(default_factory=lambda: f"tb{os.getpid()}")
    net: str = field(default_factory=lambda: f"198.18.{os.getpid() % 256}")

    @property
    def servers(self) -> str:
        return f"{self.net}.1"

    @property
    def relay(self) -> str:
        return f"{self.net}.2"

    def told(self, *words: str) -> str:
        """What `ip` says to it. Raises `Refused`."""
        done = subprocess.run([self.ip, *words], capture_output=True, text=True, check=False)
        if done.returncode:
            raise Refused(f"ip {' '.join(words)}: {done.stderr.strip()}")
        return done.stdout

    def built(self) -> None:
        self.told("link", "add", self.name, "type", "bridge")
        for address in (self.servers, self.relay):
            self.told("addr", "add", f"{address}/24", "dev", self.name)
        self.told("link", "set", self.name, "up")

    def without(self, name: str) -> None:
        """Nothing of this name is left, whatever had been made of it."""
        for words in (("link", "del", name), ("netns", "del", name)):
            subprocess.run([self.ip, *words], capture_output=True, check=False)

    def cleared(self) -> None:
        """Nothing of test processes that are gone is left."""
        known = self.told("-o", "link") + self.told("netns", "list")
        for found in OURS.finditer(known):
            if not Path("/proc", found[1]).exists():
                self.without(found[0])


@contextmanager
def switch(ip: str) -> Iterator[Switch]:
    """Where root may not even do this, the test is skipped; in CI it fails."""
    made = Switch(ip)
    try:
        made.cleared()
        made.built()
        yield made
    except Refused as error:
        lacks(f"this machine makes no networks: {error}")
    finally:
        made.without(made.name)


@dataclass
class Machine:
    """A namespace; its end of the cable is called `cable`, the other has the machine's name."""

    switch: Switch
    number: int

    @property
    def name(self) -> str:
        return f"{self.switch.name}n{self.number}"

    @property
    def address(self) -> str:
        return f"{self.switch.net}.{10 + self.number}"

    @property
    def runs(self) -> tuple[str, ...]:
        """The command that runs another one there."""
        return self.switch.ip, "netns", "exec", self.name

    def built(self) -> None:
        told, name = self.switch.told, self.name
        told("netns", "add", name)
        told("link", "add", name, "type", "veth", "peer", "name", "cable", "netns", name)
        told("link", "set", name, "master", self.switch.name, "up")
        told("-n", name, "addr", "add", f"{self.address}/24", "dev", "cable")
        for one in ("cable", "lo"):
            told("-n", name, "link", "set", one, "up")

    def pulls_its_cable(self) -> None:
        """From now on silence, on both ends: nobody is told, nothing is closed."""
        self.switch.told("link", "set", self.name, "down")

    def plugs_it_in(self) -> None:
        self.switch.told("link", "set", self.name, "up")

    def loses_what_it_says_to(self, address: str) -> None:
        """What comes from there still arrives."""
        nobody = ("lladdr", NOWHERE, "dev", "cable", "nud", "permanent")
        self.switch.told("-n", self.name, "neigh", "replace", address, *nobody)

    def is_heard_again_at(self, address: str) -> None:
        self.switch.told("-n", self.name, "neigh", "del", address, "dev", "cable")

    def url(self, url: str) -> str:
        """The same server, as it is reached from here."""
        parts = urlsplit(url)
        account, at, _ = parts.netloc.rpartition("@")
        return urlunsplit(parts._replace(netloc=f"{account}{at}{self.switch.servers}:{parts.port}"))


@contextmanager
def machine(at: Switch, number: int) -> Iterator[Machine]:
    """What runs there has to end first."""
    made = Machine(at, number)
    try:
        made.built()
        yield made
    finally:
        at.without(made.name)
