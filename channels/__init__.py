"""Speaks: one file a channel, each found by its presence."""

from __future__ import annotations

import importlib
import pkgutil

from channels.base import Channel


def discover() -> dict[str, type[Channel]]:
    """Every channel by its name: a module of this folder that says `CHANNEL = …` is one."""
    found: dict[str, type[Channel]] = {}
    for module in sorted(pkgutil.iter_modules(__path__), key=lambda module: module.name):
        channel = getattr(importlib.import_module(f"{__name__}.{module.name}"), "CHANNEL", None)
        if channel is not None:
            found[channel.name] = channel
    return found
