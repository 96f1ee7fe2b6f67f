"""What a step's web push is made of, and which browser gets it."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from hashlib import blake2b

from channels.base import Content, Message, Outcome, Push
from daemon.context import Context, address_hmac
from daemon.flow import mails
from daemon.flow.mails import Wares
from daemon.mail import MailError, NothingToShow
from daemon.mail.pushes import languages, payload, render_push
from daemon.opening import push_contact
from daemon.settings import Settings
from daemon.store.facts import Case
from daemon.store.messages import Claim, LinkRow, Prepared, ToPrepare
from rules.shops import ShopWords

LEAST, MOST = timedelta(minutes=10), timedelta(hours=12)
"""How long a push service keeps it for a browser that is away: as long as the step has, within these."""


def prepare(context: Context, shop_id: int, one: ToPrepare, case: Case, wares: Wares) -> Prepared:
    """Its texts, pictures and tokenised links: what the outbox keeps. Raises MailError."""
    step = wares.policy.step(one.step)
    if step is None:
        raise MailError(f"the policy has no step {one.step}")
    unsubscribe = f"{mails.base_url(context)}/u/{mails.token(context, 'unsubscribe', shop_id, one.id, one.rehearsal)}"
    tracked = mails.tracking(context, shop_id, one, case, wares.policy)
    shop = context.keeper.book.shops[context.shop_name(shop_id)]
    values = mails.mail_context(shop, one, case, wares, unsubscribe)
    if all(line.in_stock is False for line in values.lines):
        raise NothingToShow("nothing of the cart can be bought any more")
    spoken = languages(context.settings.rules_dir / "templates")
    rendered = render_push(spoken, step.template_name, values, tracked)
    payload(rendered.parts, topic(context, shop_id, one.id))  # what is too long is said now
    content = {**rendered.parts, "policy": case.policy_name}
    if endpoint := address(context, shop_id, case, rehearsal=one.rehearsal):
        content["to"] = _hmac(context, endpoint)
    links = [LinkRow(link.no, link.kind, link.target) for link in rendered.links]
    return Prepared(one.id, content, tracked=tracked is not None, facts_no=case.facts_no, links=links)


def composed(context: Context, shop_id: int, claim: Claim, case: Case) -> Content:
    """The push of a claimed message, for its browser. Raises MailError."""
    if not case.browsers:
        raise MailError("the browser it was made for takes no pushes any more")
    browser = case.browsers[0]
    parts = {key: str(value) for key, value in claim.content.items()}
    name = topic(context, shop_id, claim.id)
    lives = claim.not_after - claim.sending_at if claim.not_after and claim.sending_at else MOST
    return Push(payload(parts, name), browser.p256dh, browser.auth, min(max(lives, LEAST), MOST), name)


def topic(context: Context, shop_id: int, message_id: int) -> str:
    """24 letters that are safe everywhere and tell nobody anything: the same for each attempt of one message, so that a
    push service and a browser keep only one."""
    digest = blake2b(f"topic:{shop_id}:{message_id}".encode(), digest_size=18, key=context.pepper[:64]).digest()
    return base64.urlsafe_b64encode(digest).decode()


def address(context: Context, shop_id: int, case: Case, *, rehearsal: bool) -> str:
    """The endpoint of the browser that was seen last; empty: none, or a rehearsal, which has no browser of its own."""
    return "" if rehearsal or not case.browsers else case.browsers[0].endpoint


def made_for(context: Context, claim: Claim, case: Case) -> Case:
    """With no browser but the one that the message was made for. A push whose fate nobody knows may thus go out once
    more to the same browser, where it replaces itself, and never to another."""
    to = str(claim.content.get("to", ""))
    return replace(case, browsers=[one for one in case.browsers if _hmac(context, one.endpoint) == to]) if to else case


def _hmac(context: Context, endpoint: str) -> str:
    return address_hmac(context.pepper, "push", endpoint).hex()


def gone(context: Context, group: Sequence[tuple[Message, Outcome]]) -> Mapping[int, bytes]:
    """Hashes of the endpoints that are over, by message."""
    return {one.id: address_hmac(context.pepper, "push", one.address) for one, outcome in group if outcome.gone}


def unable(shop: ShopWords, settings: Settings) -> str:
    """Why no push of this shop could leave; empty: it could."""
    if settings.database_url.get_secret_value() and not settings.push_private_key.get_secret_value():
        return "TILLBELL_PUSH_PRIVATE_KEY is not set; `tillbell push-keys` makes one"
    if not push_contact(settings):
        return "TILLBELL_PUSH_CONTACT is not set, and TILLBELL_PUBLIC_BASE_URL is no https address to take its place"
    return ""
