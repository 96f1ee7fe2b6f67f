"""From settings to open channels: one small function a channel."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from channels.base import Channel
from daemon.settings import Settings


def open_channels(settings: Settings, data_dir: Path) -> dict[str, Channel]:
    """Those that are configured; a policy's step on another one waits, and `check` says so."""
    opened = {name: opener(settings, data_dir) for name, opener in OPENERS.items()}
    return {name: channel for name, channel in opened.items() if channel is not None}


def _email(settings: Settings, _: Path) -> Channel | None:
    if not settings.smtp_host:
        return None
    from channels.email import Config, Email  # noqa: PLC0415  slow to import, and not every command sends

    return Email(
        Config(
            host=settings.smtp_host,
            port=settings.smtp_port,
            tls=settings.smtp_tls,
            ca_file=settings.smtp_ca_file,
            username=settings.smtp_username,
            password=settings.smtp_password,
            helo=settings.smtp_helo,
            connections=settings.smtp_connections,
            to_dot=settings.smtp_to_dot,
            from_dot=settings.smtp_from_dot,
            dsn=settings.smtp_dsn,
        )
    )


Opener = Callable[[Settings, Path], Channel | None]
"""The settings and the data folder, for keys that are made once and kept; None where the channel is not configured."""

OPENERS: Mapping[str, Opener] = {"email": _email}
