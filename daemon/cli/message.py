"""`tillbell message`: what became of a mail that nobody knows of."""

from __future__ import annotations

from typing import Annotated, Literal

from cyclopts import App, Parameter

from daemon.cli.desk import ShopName, console, desk
from daemon.cli.exits import FINDINGS, FINE
from daemon.flow.resolve import resolve as settle

app = App(name="message", help="Say what became of a message whose fate is unknown.")


def _said(_: object, reason: str) -> None:
    if not reason.strip():
        raise ValueError("say how you know: `why` shows it")


@app.command
async def resolve(
    number: int,
    state: Literal["accepted", "failed"],
    reason: Annotated[str, Parameter(validator=_said)],
    /,
    *,
    shop: ShopName = None,
) -> int:
    """Say what became of a message whose fate is unknown. It is never sent again either way.

    Parameters
    ----------
    number
        The number of the message, as `why` shows it.
    state
        accepted: the relay took it. failed: it certainly did not, so it counts for no cap.
    reason
        How you know, such as a line of the relay's log.
    """
    async with desk(acts=True) as at:
        outcomes = [await settle(at.pool, shop_id, number, state, reason, at.now) for shop_id in at.only(shop).values()]
    resolved = any(outcomes)
    console().print(f"message {number}: {state}" if resolved else f"there is no message {number} whose fate is unknown")
    return FINE if resolved else FINDINGS
