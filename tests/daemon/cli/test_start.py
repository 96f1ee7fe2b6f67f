"""What a command costs before it does anything: a call for help imports none of the commands."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys

import pytest

from daemon.cli import COMMANDS, app

HEAVY = ("arq", "asyncpg", "mrml", "aiohttp", "sqlalchemy", "jinja2", "daemon.house", "daemon.flow")
LOOK = """
import sys
from daemon.cli import app
app({words!r}, result_action="return_value")
print("heavy:", [name for name in {heavy!r} if name in sys.modules])
"""


@pytest.mark.parametrize("words", [["--version"], ["--help"]])
def test_version_and_help_import_no_command(words):
    said = subprocess.run(
        [sys.executable, "-c", LOOK.format(words=words, heavy=HEAVY)], capture_output=True, text=True, check=True
    )
    assert said.stdout.splitlines()[-1] == "heavy: []"


@pytest.mark.parametrize("place", COMMANDS)
def test_the_list_of_commands_says_what_each_says_of_itself(place):
    module, _, attribute = place.partition(":")
    command = getattr(importlib.import_module(f"daemon.cli.{module}"), attribute)
    told = command.help if attribute == "app" else inspect.cleandoc(command.__doc__).partition("\nParameters\n")[0]
    assert " ".join(told.split()) == COMMANDS[place]


def test_each_command_is_found():
    assert len([name for name in app.resolved_commands() if not name.startswith("-")]) == len(COMMANDS)


def test_a_reader_that_has_seen_enough_is_no_fault():
    command = subprocess.Popen(
        [sys.executable, "-m", "daemon", "settings", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    command.stdout.close()
    assert (command.stderr.read(), command.wait()) == ("", 141)
    command.stderr.close()
