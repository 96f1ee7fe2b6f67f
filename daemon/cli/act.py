"""`tillbell pause`, `resume` and `send-test`: commands that change something."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from typing import Annotated, Literal

from cyclopts import Parameter

from channels.base import Message, attempt
from daemon import logs
from daemon.cli.desk import ShopName, console, desk, no_shop, span
from daemon.cli.exits import FINDINGS, FINE
from daemon.errors import ConfigurationError
from daemon.flow.mails import NO_SHOP, sample_mail
from daemon.house import servers_of, window
from daemon.settings import read
from daemon.store import brake, instance
from daemon.store.brake import Scope

Policy = Annotated[str | None, Parameter(help="Only this policy.")]
Step = Annotated[str | None, Parameter(help="Only this step.")]
Channel = Annotated[str | None, Parameter(help="Only this channel.")]
For = Annotated[str | None, Parameter(name="--for", help="How long, such as 2h; without it until `resume`.")]


RIGHT_NOW = timedelta(seconds=1)
NOT_TAKEN = {
    "retry_wait": "not sent, and a real mail would be tried again",
    "failed": "not sent, the relay refuses it",
    "unknown": "whether the relay took it is not known",
}
"""What is said of a sample that was not accepted, by its state."""


def _said(_: object, reason: str) -> None:
    if not reason.strip():
        raise ValueError("say why: `status` and `why` show it")


async def pause(
    reason: Annotated[str, Parameter(validator=_said)],
    /,
    *,
    shop: ShopName = None,
    policy: Policy = None,
    step: Step = None,
    channel: Channel = None,
    lasting: For = None,
) -> int:
    """Stop sending, everywhere, from the next claim on. It is a row in the database and outlives restarts.

    Parameters
    ----------
    reason
        Why, in your words: `status` and `why` show it.
    """
    async with desk(acts=True) as at:
        until: datetime | None = at.now + span(lasting) if lasting else None
        ids = at.only(shop)
        number = await brake.pause(at.pool, list(ids.values()), Scope(policy, step, channel), reason, at.now, until)
    console().print(
        f"paused {number} shop{'s' if number != 1 else ''}" + (f" until {until:%Y-%m-%d %H:%M} UTC" if until else "")
    )
    return FINE


async def resume(*, shop: ShopName = None, policy: Policy = None, step: Step = None, channel: Channel = None) -> int:
    """Lift pauses: those that name exactly this policy, step or channel, or all of them."""
    async with desk(acts=True) as at:
        lifted = await brake.resume(at.pool, list(at.only(shop).values()), Scope(policy, step, channel), at.now)
        for shop_id in at.only(shop).values():
            await brake.free(at.pool, shop_id, at.now)
        since_now = [one for one in await instance.standstills(at.pool, at.now - RIGHT_NOW) if one.lifted_at == at.now]
    console().print(f"lifted {len(lifted)} pause{'s' if len(lifted) != 1 else ''}")
    for reason in lifted:
        console().print(f"  {reason}")
    for name in sorted({one.shop for one in since_now}):
        console().print(f"shop {name}: what was due before now is not made up for; what is due later goes on")
    return FINE if lifted else FINDINGS


async def send_test(
    address: str,
    /,
    *,
    shop: Annotated[str, Parameter(help="The shop whose sender and looks are used.")],
    template: Annotated[str, Parameter(help="The template, such as remind.")] = "remind",
    locale: Annotated[Literal["de", "en"], Parameter(help="The language.")] = "en",
) -> int:
    """Send one sample mail through the real relay to ADDRESS, marked as a rehearsal, and print the relay's answer."""
    chosen = read()
    logs.set_up(chosen.model_copy(update={"log_level": "error"}))
    async with servers_of(chosen, share=True) as servers, window(chosen, servers.database_url) as (context, _):
        email = context.channels.get("email")
        if email is None:
            raise ConfigurationError("TILLBELL_SMTP_HOST is not set: no e-mail can be sent")
        if shop not in context.shops:
            raise ConfigurationError(no_shop(shop, context.shops, chosen))
        mail = sample_mail(context, shop, template, locale)
        message = Message(context.shop_ids.get(shop, NO_SHOP), 0, 0, address, mail)

        async def may_leave(_: Message) -> bool:
            await asyncio.sleep(0)
            return True

        outcome = await attempt(email, message, may_leave)
    if outcome.state == "accepted":
        console().print(f"accepted by the relay{': ' + outcome.provider_id if outcome.provider_id else ''}")
        return FINE
    because = outcome.error or outcome.code
    console().print(f"{NOT_TAKEN.get(outcome.state, outcome.state)}: {because}", soft_wrap=True)
    return FINDINGS
