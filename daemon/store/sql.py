"""Loads the named queries of a .sql file; rows come back as asyncpg records."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import aiosql

FOLDER = Path(__file__).parent


def load(noun: str) -> Any:
    """The queries of `noun.sql` beside this file, one function each."""
    return aiosql.from_path(FOLDER / f"{noun}.sql", "asyncpg", kwargs_only=False, mandatory_parameters=False)
