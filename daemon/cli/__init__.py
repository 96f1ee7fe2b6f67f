"""What an operator types. Exit codes: 0 fine, 1 findings, 2 usage, 75 try again, 78 configuration.

A command's module is imported when it is called: `--version` and `--help` need none of them.
"""

from __future__ import annotations

import os
import sys
from importlib.metadata import version

from cyclopts import App
from cyclopts.exceptions import CycloptsError

from daemon.cli.exits import USAGE

COMMANDS = {
    "demo:demo": "See it work, with nothing but Python: real tillbell, make-believe shop. Nothing leaves this machine.",
    "serve:run": "Run the daemon until SIGTERM or Ctrl-C: web, worker and bell in one process, or one part of them.",
    "serve:migrate": "Bring the database to the schema of this version. Any number may do so at once.",
    "serve:dump": "Write the whole database to FILE, for another major version of PostgreSQL or another machine.",
    "serve:load": "Read FILE, written by `tillbell dump`, into an empty database.",
    "serve:check": "Check settings, rules, templates, shops and channels, as far as they can be checked "
    "without sending anything.",
    "doctor:doctor": "Ask the world: do mails arrive, does each shop tell everything in time, is all work done? Exit 1 "
    "with hints.",
    "serve:settings": "Print every setting, its value and what it does. Secrets are masked.",
    "look:why": "The whole story of a cart, a person or a message: every message and every silence, with "
    "rule and facts.",
    "figures:report": "Carts, recoveries by end, messages by state, and the holdout beside the treated. "
    "Rehearsals stand apart.",
    "figures:books": "The books: rows that contradict each other (exit 1 if there are any), and the sums beside "
    "what a relay counts.",
    "act:pause": "Stop sending, everywhere, from the next claim on. It is a row in the database and outlives restarts.",
    "act:resume": "Lift pauses: those that name exactly this policy, step or channel, or all of them.",
    "look:status": "What runs, what is paused, what rests, when each shop was last heard of. Exit 1 if "
    "anything is amiss.",
    "act:send_test": "Send one sample mail through the real relay to ADDRESS, marked as a rehearsal, and print "
    "the relay's answer.",
    "suppress:app": "Addresses that are not written to. They are kept as keyed hashes.",
    "replies:app": "Answers of customers that nobody has read yet. None is ever deleted unread.",
    "message:app": "Say what became of a message whose fate is unknown.",
    "push:push_keys": "Keys for web push as settings: those in use, else new ones, which are kept nowhere. Whoever "
    "has the private one can push to your customers.",
    "shop:app": "What a shop left behind that is no longer in shops.yaml.",
    "consent:app": "What people allowed: show it with its proof, record it, take it back.",
    "person:app": "What is held about somebody: show it, hand it out, erase it; make two one, or part them.",
    "audience:app": "Ad audiences: who is in them, as figures and as files; tell the platforms at once.",
    "rules:app": "Check, show and try the rule files.",
}
"""Where each command is, with the first sentence of its docstring."""

app = App(
    name="tillbell",
    help="Wins back abandoned shopping carts: by e-mail first, provably once, and silent once the customer buys.",
    version=lambda: version("tillbell"),
    help_format="rst",
    exit_on_error=False,
    print_error=False,
)
for place, sentence in COMMANDS.items():
    module, _, attribute = place.partition(":")
    name = (module if attribute == "app" else attribute).replace("_", "-")
    app.command(f"daemon.cli.{module}:{attribute}", name=name, help=sentence)
app.register_install_completion_command()


def main() -> None:
    """The entry point: what goes wrong becomes a sentence and an exit code."""
    try:
        code = app()
    except CycloptsError as error:
        say(str(error))
        sys.exit(USAGE)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # who reads has seen enough, as in `tillbell report | head`
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        sys.exit(141)
    except Exception as error:
        from daemon.cli.exits import ending  # noqa: PLC0415

        said = ending(error)
        if said is None:
            raise
        say(said[1])
        sys.exit(said[0])
    sys.exit(code if isinstance(code, int) else 0)


def say(text: str) -> None:
    from rich.console import Console  # noqa: PLC0415

    Console(stderr=True, highlight=False, markup=False).print(text, soft_wrap=True)
