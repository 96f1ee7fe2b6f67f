"""Writes docs/settings.md from the table of settings in daemon/settings.py."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from pydantic import SecretStr
from pydantic.fields import FieldInfo

from daemon.settings import PREFIX, Settings
from rules.values import write_span

PAGE = Path(__file__).parents[1] / "docs" / "settings.md"
INTRO = """\
# Settings

<!-- Written by tools/docs_settings.py from daemon/settings.py: change that, then run `make docs`. -->

Each setting is an environment variable. Each may also be given as a file, by its name with `_FILE` behind it:
`TILLBELL_SMTP_PASSWORD_FILE=/run/secrets/smtp` reads the password from there, without the line feed at its end. A name
that is not in this table is an error, and so is one that is set both ways. Spans of time have a unit (`90s`, `3d`).
`tillbell settings` prints what holds now, with secrets masked; `tillbell check` says what is missing.

Shops, senders and policies are no settings: they stand in the [rule files](rules.md).

| setting | default | what it does |
|---|---|---|
"""


def page() -> str:
    """What docs/settings.md should say."""
    return INTRO + "".join(f"{_row(name, field)}\n" for name, field in Settings.model_fields.items())


def _row(name: str, field: FieldInfo) -> str:
    told = str(field.description).replace("|", "\\|")
    choices = getattr(field.annotation, "__args__", ())
    if choices and all(isinstance(choice, str) for choice in choices):
        told += " One of " + ", ".join(f"`{choice}`" for choice in choices) + "."
    shown = _shown(field.default)
    return f"| `{PREFIX}{name.upper()}` | {f'`{shown}`' if shown else ''} | {told} |"


def _shown(default: Any) -> str:
    if default is None or default == () or isinstance(default, SecretStr):
        return ""
    return write_span(default) if isinstance(default, timedelta) else str(default)


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
