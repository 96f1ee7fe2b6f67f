"""What an operator types. Exit codes: 0 fine, 1 findings, 2 usage, 75 try again, 78 configuration."""

from __future__ import annotations

import sys

from asyncpg import InvalidAuthorizationSpecificationError, InvalidCatalogNameError, PostgresError
from asyncpg.exceptions import ClientConfigurationError
from cyclopts import App
from cyclopts.exceptions import CycloptsError
from rich.console import Console

from daemon.cli import act, demo, figures, look, person, rules, serve, suppress
from daemon.cli.exits import CONFIGURATION, TRY_AGAIN, USAGE
from daemon.errors import ConfigurationError, TemporaryError
from daemon.house import own_version
from daemon.store.database import is_transient

REFUSED = (InvalidCatalogNameError, InvalidAuthorizationSpecificationError, ClientConfigurationError)
"""The database is there, and not for us as the settings stand."""

app = App(
    name="tillbell",
    help="Wins back abandoned shopping carts: by e-mail first, provably once, and silent once the customer buys.",
    version=own_version,
    help_format="rst",
    exit_on_error=False,
    print_error=False,
)
app.command(demo.demo)
app.command(serve.run)
app.command(serve.migrate)
app.command(serve.dump)
app.command(serve.load)
app.command(serve.check)
app.command(serve.settings)
app.command(look.why)
app.command(figures.report)
app.command(figures.books)
app.command(act.pause)
app.command(act.resume)
app.command(look.status)
app.command(act.send_test)
app.command(suppress.app)
app.command(person.app)
app.command(rules.app)
app.register_install_completion_command()


def main() -> None:
    """The entry point: what goes wrong becomes a sentence and an exit code."""
    try:
        code = app()
    except CycloptsError as error:
        _say(str(error))
        sys.exit(USAGE)
    except ConfigurationError as error:
        _say(str(error))
        sys.exit(CONFIGURATION)
    except REFUSED as error:
        _say(f"TILLBELL_DATABASE_URL: {error}")
        sys.exit(CONFIGURATION)
    except (TemporaryError, ConnectionError, TimeoutError, PostgresError) as error:
        if isinstance(error, PostgresError) and not is_transient(error):
            raise
        _say(f"{error or type(error).__name__}; try again later")
        sys.exit(TRY_AGAIN)
    except KeyboardInterrupt:
        sys.exit(130)
    sys.exit(code if isinstance(code, int) else 0)


def _say(text: str) -> None:
    Console(stderr=True, highlight=False, markup=False).print(text, soft_wrap=True)
