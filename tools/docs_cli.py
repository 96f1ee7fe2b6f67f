"""Writes docs/commands.md from the commands themselves: what each does, its arguments, its options."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from cyclopts import App

from daemon.cli import app

PAGE = Path(__file__).parents[1] / "docs" / "commands.md"
INTRO = """\
# Commands

<!-- Written by tools/docs_cli.py from daemon/cli: change that, then run `make docs`. -->

`tillbell COMMAND --help` says the same. Every command reads the [settings](settings.md) of its environment: give it
those of the daemon. It may be used beside a running one. It ends with 0 when all is well, 1 for findings, 2 for a wrong
call, 75 for "try again later", 78 for a wrong configuration.
"""


def page() -> str:
    """What docs/commands.md should say."""
    listed = sorted(commands(app, ("tillbell",)))
    contents = "".join(f"* [`{name}`](#{name.replace(' ', '-')})\n" for name, _ in listed)
    return "\n".join([INTRO, contents, *(_section(name, command) for name, command in listed)])


def commands(inside: App, path: tuple[str, ...]) -> Iterator[tuple[str, App]]:
    """Every command that does something, by all of its words."""
    for name in inside.resolved_commands():
        if name.startswith("-"):
            continue
        command = inside[name]
        below = list(commands(command, (*path, name)))
        yield from below or [(" ".join((*path, name)), command)]


def _section(name: str, command: App) -> str:
    arguments = [one for one in command.assemble_argument_collection(parse_docstring=True) if one.show]
    positional = [one for one in arguments if one.index is not None]
    options = [one for one in arguments if one.index is None]
    usage = " ".join([name, *(_placeholder(one) for one in positional), *(["[OPTIONS]"] if options else [])])
    text = inspect.cleandoc(command.help).partition("\nParameters\n")[0].strip()
    return "\n".join([f"## {name}", "", f"`{usage}`", "", text, "", *_table(arguments)])


def _placeholder(argument: Any) -> str:
    name = f"{argument.names[0]}..." if argument.is_var_positional() else argument.names[0]
    return name if argument.required else f"[{name}]"


def _table(arguments: list[Any]) -> Iterator[str]:
    if not arguments:
        return
    yield "| | default | |"
    yield "|---|---|---|"
    for one in arguments:
        told = (one.parameter.help or "").replace("|", "\\|")
        if choices := one.get_choices():
            told = f"{told} {', '.join(f'`{choice}`' for choice in choices)}".strip()
        yield f"| `{one.names[0]}` | {_default(one)} | {told} |"
    yield ""


def _default(argument: Any) -> str:
    if argument.required:
        return "needed"
    default = argument.field_info.default
    return "" if default in (None, False, inspect.Parameter.empty) else f"`{default}`"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
