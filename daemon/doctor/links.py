"""The way out: what each policy's mails say of it, and whether it can be walked from outside (RFC 8058)."""

from __future__ import annotations

import re
from collections.abc import Mapping

from aiohttp import ClientError, ClientSession, ClientTimeout

from channels.base import Mail
from daemon.context import Context
from daemon.doctor.reason import Reason
from daemon.errors import ConfigurationError
from daemon.flow.mails import NO_SHOP, base_url, sample_mail, token
from daemon.mail import MailError

PATIENCE = ClientTimeout(total=10)
BODY = "List-Unsubscribe=One-Click"


def of_policies(context: Context, shop: str) -> tuple[list[Reason], int]:
    """One sample of each mail of each policy: what its header lacks; and the octets of the largest."""
    said: dict[str, Reason] = {}
    largest = 0
    for policy in context.keeper.book.policies_by_shop.get(shop, ()):
        for step in (one for one in policy.ladder if one.send == "email"):
            where = f"shop {shop}, policy {policy.name}, step {step.name}"
            try:
                mail = sample_mail(context, shop, step.template_name, context.keeper.book.shops[shop].locale)
            except (ConfigurationError, MailError) as error:
                said.setdefault(str(error), Reason("mail", f"{where}: {error}"))
                continue
            largest = max(largest, len(mail.text.encode()) + len(mail.html.encode()))
            for text, hint in of_headers(mail):
                said.setdefault(text, Reason("unsubscribe", f"{where}: {text}", hint))
    return list(said.values()), largest


def of_headers(mail: Mail) -> list[tuple[str, str]]:
    """(what is wrong, what to do): both fields of RFC 8058 section 3.1, and List-Id (RFC 2919)."""
    fields: Mapping[str, str] = {name.lower(): value for name, value in mail.headers}
    wrong = []
    way = re.fullmatch(r"<(\S+)>", fields.get("list-unsubscribe", ""))
    if way is None:
        wrong.append(("the mail has no List-Unsubscribe", ""))
    elif not way[1].startswith("https://"):
        wrong.append(("its List-Unsubscribe is no https address, so no mailbox offers one click",
                      "set TILLBELL_PUBLIC_BASE_URL to an https address"))  # fmt: skip
    if fields.get("list-unsubscribe-post") != BODY:
        wrong.append(("the mail has no List-Unsubscribe-Post: List-Unsubscribe=One-Click", ""))
    if not re.fullmatch(r"<[a-z0-9-]+(\.[a-z0-9-]+)+>", fields.get("list-id", "")):
        wrong.append(("the mail has no sound List-Id", ""))
    return wrong


async def walk(context: Context, shop: str) -> list[Reason]:
    """Do what a mailbox provider does, with a rehearsal's link: it changes nothing."""
    base = base_url(context)
    way = f"{base}/u/{token(context, 'unsubscribe', context.shop_ids.get(shop, NO_SHOP), 0, rehearsal=True)}"
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    try:
        async with (
            ClientSession(timeout=PATIENCE) as session,
            session.post(way, data=BODY, headers=headers, allow_redirects=False) as response,
        ):
            return of_answer(base, response.status)
    except (ClientError, OSError, TimeoutError, ValueError) as error:
        text = f"one-click unsubscription through {base} fails: {type(error).__name__}"
        hint = "the name, its certificate and the web server before `tillbell run`; ask from outside as well"
        return [Reason("one-click", text, hint)]


def of_answer(base: str, status: int) -> list[Reason]:
    if status == 200:
        return []
    text = f"one-click unsubscription through {base} is answered {status}, not 200"
    if 300 <= status < 400:
        return [Reason("one-click", text, "a redirect loses the POST: give the address that it leads to")]
    if status == 404:
        hint = "the web server passes /u/ elsewhere, or other keys sign there (TILLBELL_SECRET)"
        return [Reason("one-click", text, hint)]
    return [Reason("one-click", text, "let the web server pass POST /u/ on, without a log-in or a challenge")]
