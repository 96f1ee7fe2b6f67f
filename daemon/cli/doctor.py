"""`tillbell doctor`: looks at the world around the installation, and at its pulse."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import Annotated

from cyclopts import Parameter
from rich.console import Console
from rich.table import Table

from daemon import logs, settings
from daemon.cli.desk import AsJson, ShopName, console, no_shop, print_json
from daemon.cli.exits import FINDINGS, FINE
from daemon.context import Context
from daemon.doctor import mail, shops
from daemon.doctor.names import Names
from daemon.doctor.pulse import Pulse
from daemon.doctor.reason import Reason
from daemon.errors import ConfigurationError
from daemon.house import servers_of, window

Offline = Annotated[bool, Parameter(negative="", help="Ask neither DNS nor relay nor the public address.")]


async def doctor(*, shop: ShopName = None, offline: Offline = False, as_json: AsJson = False) -> int:
    """Ask the world: do mails arrive, does each shop tell everything in time, is all work done? Exit 1 with hints."""
    chosen = settings.read()
    logs.set_up(chosen.model_copy(update={"log_level": "error"}))
    async with servers_of(chosen, share=True) as servers, window(chosen, servers.database_url) as (context, behind):
        if behind:
            raise ConfigurationError(f"{behind}; hint: run `tillbell migrate`")
        reasons = await ask(context, _only(context, shop), None if offline else Names())
    if as_json:
        print_json({"findings": _rows(reasons, amiss=True), "notes": _rows(reasons, amiss=False)})
    else:
        show(console(), reasons)
    return FINDINGS if any(one.amiss for one in reasons) else FINE


async def ask(context: Context, names_of_shops: Sequence[str], names: Names | None) -> list[Reason]:
    """Everything at once, in a fixed order, nothing twice. `names` None: offline."""
    offline = names is None
    answers = await asyncio.gather(
        Pulse(context).take(),
        *(shops.of_shop(context, name) for name in names_of_shops),
        mail.of_relay_and_mails(context, names_of_shops, offline=offline),
        mail.of_way_out(context, names_of_shops, offline=offline),
        *(mail.of_sender(context, name, names) for name in names_of_shops),
    )
    return list(dict.fromkeys(one for answer in answers for one in answer))


def show(out: Console, reasons: Sequence[Reason]) -> None:
    """On a terminal a table; elsewhere one line a reason, whole, for grep."""
    amiss = [one for one in reasons if one.amiss]
    for one in reasons if not out.is_terminal else ():
        out.print(f"{'finding' if one.amiss else 'note'}: {one.about}: {one}", soft_wrap=True)
    if out.is_terminal and reasons:
        table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
        table.add_column(no_wrap=True)
        table.add_column(overflow="fold", ratio=1)
        for one in sorted(reasons, key=lambda one: not one.amiss):
            told = f"{one.text}\n→ {one.hint}" if one.hint else one.text
            table.add_row(one.about, told, style="" if one.amiss else "dim")
        out.print(table)
    number = len(amiss)
    out.print(f"{number} finding{'' if number == 1 else 's'}" if amiss else "all is well")


def _rows(reasons: Sequence[Reason], *, amiss: bool) -> list[dict[str, str]]:
    return [{"about": one.about, "text": one.text, "hint": one.hint} for one in reasons if one.amiss == amiss]


def _only(context: Context, shop: str | None) -> list[str]:
    """Those of shops.yaml, or the one named."""
    if shop is None:
        return sorted(context.shops)
    if shop not in context.shops:
        raise ConfigurationError(no_shop(shop, context.shops, context.settings))
    return [shop]
