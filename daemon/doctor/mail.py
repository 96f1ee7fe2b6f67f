"""Can mails arrive: the sender's domain in the DNS, the relay, and the way out."""

from __future__ import annotations

from collections.abc import Sequence

from channels.email import Email
from daemon.context import Context
from daemon.doctor import dkim, dmarc, links, spf
from daemon.doctor.names import Names, Offline
from daemon.doctor.reason import Reason
from daemon.doctor.relay import call, of_relay
from daemon.store import clock, survey

NOBODY = ""
"""The host of a null MX (RFC 7505): a domain that takes no mail, and from which many take none."""
SLACK = 4 / 3 * 1.1
"""What MIME makes of text: base64, and the fields around it."""


async def of_relay_and_mails(context: Context, shops: Sequence[str], *, offline: bool) -> list[Reason]:
    """The mails of these shops and, unless offline, the relay that takes them."""
    said, largest = [], 0
    for shop in shops:
        if context.keeper.book.shops[shop].sender is None:
            said.append(Reason("mail", f"shop {shop} has no sender", "`sender:` in shops.yaml"))
            continue
        found, octets = links.of_policies(context, shop)
        said += found
        largest = max(largest, octets)
        if shop in context.shop_ids:
            largest = max(largest, await survey.largest_mail(context.pool, context.shop_ids[shop]))
    email = context.channels.get("email")
    if offline:
        return [*said, _unasked("the relay")]
    if not isinstance(email, Email):
        return [*said, Reason("relay", "no relay is set", "TILLBELL_SMTP_HOST")]
    now = await clock.machine_now(context.pool)
    return [*said, *of_relay(await call(email), now, int(largest * SLACK))]


async def of_way_out(context: Context, shops: Sequence[str], *, offline: bool) -> list[Reason]:
    """One-click unsubscription, walked as a mailbox provider would."""
    if not context.settings.public_base_url.startswith("https://"):
        text = "TILLBELL_PUBLIC_BASE_URL is no https address, so nobody outside can unsubscribe"
        return [Reason("one-click", text, "give the name under which your web server passes the public paths on")]
    if offline or not shops:
        return [_unasked("one-click unsubscription")] if offline else []
    return await links.walk(context, shops[0])


async def of_sender(context: Context, shop: str, names: Names | None) -> list[Reason]:
    """SPF, DKIM and DMARC of one shop's sender. `names` None: offline, which is said and is no finding."""
    sender = context.keeper.book.shops[shop].sender
    if sender is None:
        return []
    domain = sender.address.rpartition("@")[2].lower()
    envelope = (sender.bounce_domain or domain).lower()
    if names is None:
        return [_unasked(f"the DNS about {domain}")]
    try:
        return await in_the_dns(domain, envelope, context.settings.dkim_selectors, names)
    except Offline as error:
        return [Reason("dns", f"{error}, so SPF, DKIM and DMARC of {domain} were not looked at", amiss=False)]


async def in_the_dns(domain: str, envelope: str, selectors: Sequence[str], names: Names) -> list[Reason]:
    """`domain` of From, `envelope` that mails come back to. Raises Offline."""
    said = spf.of_spf(envelope, await spf.read(envelope, names.texts))
    signers = []
    for one in selectors:
        selector, _, signer = one.partition("@")
        signers.append((signer or domain).lower())
        name = f"{selector}._domainkey.{signers[-1]}"
        said += dkim.of_dkim(name, await names.texts(name))
    if not selectors:
        text = f"which key the relay signs with for {domain} is not known"
        hint = (
            "set TILLBELL_DKIM_SELECTORS: send yourself a mail (`tillbell send-test`) and look for s= in DKIM-Signature"
        )
        said.append(Reason("dkim", text, hint, amiss=False))
    policy, problems = await dmarc.find(domain, names.texts)
    said += dmarc.of_dmarc(domain, envelope, signers, policy, problems)
    hosts = await names.hosts(envelope)
    why = "its MX says so" if hosts == [NOBODY] else "neither MX nor address"
    if hosts == [NOBODY] or (not hosts and not await names.addresses(envelope)):
        text = f"{envelope} takes no mail ({why}), so bounces are lost"
        said.append(Reason("bounces", text, f"add an MX record, or set `bounce_domain` of {domain}"))
    return said


def _unasked(what: str) -> Reason:
    return Reason("offline", f"{what} was not asked", amiss=False)
