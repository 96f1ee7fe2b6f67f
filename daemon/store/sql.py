"""Loads the named queries of a .sql file; rows come back as asyncpg records."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import wraps
from pathlib import Path
from typing import Any

import aiosql
from aiosql.types import SQLOperationType

FOLDER = Path(__file__).parent


def load(noun: str) -> Any:
    """The queries of `noun.sql` beside this file, one function each; one that selects rows answers with a list."""
    queries = aiosql.from_path(FOLDER / f"{noun}.sql", "asyncpg", kwargs_only=False, mandatory_parameters=False)
    for name in queries.available_queries:
        query = getattr(queries, name)
        if query.operation is SQLOperationType.SELECT and not name.endswith("_cursor"):
            setattr(queries, name, _listed(query))
    return queries


def _listed(query: Callable[..., AsyncIterator[Any]]) -> Callable[..., Awaitable[list[Any]]]:
    """aiosql gives a generator, which would hold its connection until the last row is asked for."""

    @wraps(query)
    async def fetch(*args: Any, **kwargs: Any) -> list[Any]:
        return [row async for row in query(*args, **kwargs)]

    return fetch
