"""What a command ends with, and what each error ends it with."""

from __future__ import annotations

from daemon.errors import ConfigurationError, TemporaryError

FINE, FINDINGS, USAGE, TRY_AGAIN, CONFIGURATION = 0, 1, 2, 75, 78


def ending(error: Exception) -> tuple[int, str] | None:
    """The exit code and the sentence; None: a fault of ours, whose traceback is wanted."""
    if isinstance(error, ConfigurationError):
        return CONFIGURATION, str(error)
    if isinstance(error, (TemporaryError, ConnectionError, TimeoutError)):
        return TRY_AGAIN, f"{error or type(error).__name__}; try again later"
    return _of_the_database(error)


def _of_the_database(error: Exception) -> tuple[int, str] | None:
    import asyncpg  # noqa: PLC0415  # only a command that asked the database gets here
    from asyncpg.exceptions import ClientConfigurationError  # noqa: PLC0415

    from daemon.store.database import is_transient  # noqa: PLC0415

    not_for_us = (asyncpg.InvalidCatalogNameError, asyncpg.InvalidAuthorizationSpecificationError)
    if isinstance(error, (*not_for_us, ClientConfigurationError)):
        return CONFIGURATION, f"TILLBELL_DATABASE_URL: {error}"
    if isinstance(error, asyncpg.PostgresError) and is_transient(error):
        return TRY_AGAIN, f"{error or type(error).__name__}; try again later"
    return None
