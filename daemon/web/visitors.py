"""What the script on the shop's pages says and asks, one function each."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import structlog

from channels.outbound import LONGEST_URL
from daemon import metrics
from daemon.batcher import Batcher
from daemon.clock import machine_now
from daemon.context import Context
from daemon.flow import site, subscriptions
from daemon.flow.desk import Desk
from daemon.flow.persons import normal
from daemon.flow.site import Report
from daemon.flow.subscriptions import BadSubscription, Wish
from daemon.hits import SCRIPT, Hit
from daemon.store import clock, inbox
from daemon.store import site as store
from daemon.store.database import new_id
from daemon.store.events import Link
from daemon.web import badges
from daemon.web.badges import A_NOTICE, Badge, Landing
from daemon.web.edge import clean, client_address, kept_network, user_agent
from daemon.web.landings import shown
from daemon.web.links import destination
from daemon.web.pages import readable_on
from daemon.web.site import Answer, Ask, Caller
from rules.notices import in_language, said

log = structlog.get_logger()

ALLOWED = frozenset({"report", "notices", "push"})
MOST_EVENTS = 20
MOST_SHOWN = 3
"""Times that one notice is shown."""
EVENT_ID = re.compile(r"[A-Za-z0-9-]{8,64}")
REACTIONS: Mapping[str, Any] = {"shown": "opened", "clicked": "clicked", "dismissed": "dismissed"}


def asks(context: Context, desk: Desk, keeper: Batcher[inbox.Delivery, None]) -> Mapping[str, Ask]:
    """By the last part of the path. `keeper` writes into the inbox."""

    async def events(caller: Caller) -> Mapping[str, Any]:
        rows = await reported(caller)
        for row in rows:
            await keeper.submit(row)
        if rows:
            context.ring("inbox", caller.shop_id)
        return {"kept": len(rows)}

    async def reactions(caller: Caller) -> None:
        await reacted(caller, desk)

    async def landings(caller: Caller) -> None:
        await landed(caller, desk)

    return {
        "visitors": allowed,
        "events": events,
        "notices": hanging,
        "reactions": reactions,
        "landings": landings,
        "subscriptions": subscribed,
        "unsubscriptions": unsubscribed,
    }


async def allowed(caller: Caller) -> Mapping[str, Any]:
    """What a visitor allows from now on: a name for them, or none any more where it is nothing."""
    wish = caller.told.get("allow", [])
    if not isinstance(wish, list) or not set(map(str, wish)) <= ALLOWED:
        raise Answer(422, "allow: must be a list of report, notices, push")
    pool, shop_id, name = caller.context.pool, caller.shop_id, caller.visitor
    if not wish:
        if name:
            await site.forget(caller.context, shop_id, [name])
        return {"visitor": ""}
    words = sorted(set(map(str, wish)))
    wording = clean(caller.text("wording", 200))
    if name and await store.allow(pool, shop_id, name, words, caller.origin, wording):
        return {"visitor": caller.text("visitor")}
    caller.spends(caller.limits.visitors, caller.network())
    name, token = badges.new_visitor(caller.context.secrets, shop_id)
    await store.add(pool, shop_id, name, words, caller.origin, wording, caller.device)
    return {"visitor": token}


async def reported(caller: Caller) -> list[inbox.Delivery]:
    """Events that may have an effect, each under a name of its own: told twice, it is one."""
    events = caller.told.get("events")
    if not isinstance(events, list) or not 1 <= len(events) <= MOST_EVENTS:
        raise Answer(422, f"events: must be a list of 1 to {MOST_EVENTS}")
    badge = caller.badge()
    caller.spends(caller.limits.reports, caller.visitor, len(events))  # before the database is asked
    visitor = await known(caller, "report")
    rows = [_delivery(caller, visitor, badge, event) for event in events]
    return [row for row in rows if row is not None]


def _delivery(caller: Caller, visitor: str, badge: Badge, event: object) -> inbox.Delivery | None:
    if not isinstance(event, dict) or event.get("type") not in site.KINDS:
        raise Answer(422, f"events: each has a type: {', '.join(site.KINDS)}")
    if not isinstance(event.get("id"), str) or not EVENT_ID.fullmatch(event["id"]):
        raise Answer(422, "events: each has an id of its own, 8 to 64 letters and digits")
    kind = event["type"]
    if not site.matters(kind, named=badge.named, followed=site.follows_nameless(caller.context, caller.shop_id)):
        return None
    try:
        data = site.check_cart(event.get("data"), caller.shop.currency) if kind == "cart" else {}
    except ValueError as error:
        raise Answer(422, str(error)) from None
    report = Report(
        kind, visitor, badge.customer, badge.email, badge.cart, badge.order,
        str(badge.total), badge.currency, caller.device, data,
    )  # fmt: skip
    metrics.site_events.labels(kind, "named" if badge.named else "unnamed").inc()
    return inbox.Delivery(caller.shop_id, site.SOURCE, f"{visitor}:{event['id']}", report.body())


async def hanging(caller: Caller) -> Mapping[str, Any]:
    """What hangs for this visitor, in the page's language, and whether they may be asked for pushes."""
    name, badge, context = caller.visitor, caller.badge(), caller.context
    visitor = await store.of_visitor(context.pool, caller.shop_id, name) if name else None
    if visitor is None:
        raise Answer(401, "not a visitor whom we know")
    person = await whose(caller, badge, visitor)
    found = None
    if person is not None and "notices" in visitor.allowed:
        found = next(iter(await store.notices(context.pool, caller.shop_id, person, MOST_SHOWN)), None)
    reachable = person is not None or site.follows_nameless(context, caller.shop_id)
    push = _push(caller) if reachable and "push" in visitor.allowed else None
    return {"notice": _notice(caller, found) if found else None, "push": push}


async def whose(caller: Caller, badge: Badge, visitor: store.Visitor) -> int | None:
    """The person of the badge, else whom a badge named in this browser before."""
    if badge.named:
        return await store.named(caller.context.pool, caller.shop_id, badge.customer, normal(badge.email))
    return visitor.person_id


def _notice(caller: Caller, notice: store.Notice) -> Mapping[str, Any]:
    token = badges.landing_token(caller.context.secrets, Landing(caller.shop_id, notice.id, 0, 0), kind=A_NOTICE)
    lang, texts = in_language(notice.content["texts"], caller.text("lang", 35), str(notice.content["locale"]))
    return {
        "token": token,
        "when": notice.content["when"],
        "url": destination(caller.context, caller.shop_id, Link(str(notice.content["url"]), "cart")),
        "lang": lang,
        **texts,
        **_looks(caller),
    }


def _looks(caller: Caller) -> Mapping[str, Any]:
    accent = caller.shop.looks.accent
    return {"accent": accent, "onAccent": readable_on(accent)}


def _push(caller: Caller) -> Mapping[str, Any] | None:
    """Nothing where no push could be sent, or nobody is to be asked."""
    key = subscriptions.push_key(caller.context)
    if not key or caller.words.ask_for_push == "never":
        return None
    texts = said("push", caller.shop.shown_as, caller.words)
    lang, words = in_language(texts, caller.text("lang", 35), caller.shop.locale)
    return {"key": key, "ask": caller.words.ask_for_push, "lang": lang, **words, **_looks(caller)}


async def reacted(caller: Caller, desk: Desk) -> None:
    """What became of a notice: shown, clicked or dismissed, by a human. Who has its token was shown it."""
    token = badges.read_landing(caller.context.secrets, caller.text("notice"), kind=A_NOTICE)
    kind = REACTIONS.get(caller.text("what"))
    if token is None or token.shop_id != caller.shop_id or kind is None:
        raise Answer(422, "notice and what: a notice of ours, and shown, clicked or dismissed")
    await desk.record(_hit(caller, kind, token, None))


async def landed(caller: Caller, desk: Desk) -> None:
    """The page behind a click was looked at for a second or more. Too soon or too late is told nothing else."""
    landing = shown(caller.context.secrets, caller.text("landing"), caller.shop_id, machine_now())
    if landing is not None:
        await desk.record(_hit(caller, "landed", landing, landing.link_no))


def _hit(caller: Caller, kind: Any, of: Landing, link_no: int | None) -> Hit:
    metrics.hits.labels(kind).inc()
    address = client_address(caller.request, caller.context.settings.trusted_proxies)
    net, agent = kept_network(address), user_agent(caller.request)
    return Hit(new_id(), kind, of.shop_id, of.message_id, link_no, SCRIPT, agent, net)


async def subscribed(caller: Caller) -> Mapping[str, Any]:
    """A browser takes pushes for whom the badge names, for who was named in it before, or for whom it alone stands."""
    badge = caller.badge()
    name = await known(caller, "push")
    caller.spends(caller.limits.subscriptions, caller.network())
    visitor = await store.of_visitor(caller.context.pool, caller.shop_id, name)
    person = await whose(caller, badge, visitor) if visitor else None
    if person is None and not badge.named:
        person = await site.welcome(caller.context, caller.shop_id, name)
    if person is None:
        raise Answer(401, "the shop has not said whose browser this is")
    told = caller.told.get("subscription")
    keys = told.get("keys") if isinstance(told, dict) else None
    if not isinstance(told, dict) or not isinstance(keys, dict):
        raise Answer(422, "subscription: must be what PushSubscription.toJSON() gives")
    endpoint, p256dh, auth = (str(part or "") for part in (told.get("endpoint"), keys.get("p256dh"), keys.get("auth")))
    wish = Wish(endpoint, p256dh, auth, caller.device, clean(caller.text("wording", 2000)))
    try:
        await subscriptions.subscribe(
            caller.context, caller.shop_id, person, wish, await clock.shop_now(caller.context.pool)
        )
    except BadSubscription as error:
        raise Answer(422, f"subscription: {error}") from None
    return {"subscribed": True}


async def unsubscribed(caller: Caller) -> Mapping[str, Any]:
    """This browser takes no more pushes. Who has its address is the browser, or was told by it."""
    endpoint = caller.text("endpoint", LONGEST_URL)
    if not endpoint:
        raise Answer(422, "endpoint: the address that the subscription had")
    return {"unsubscribed": await subscriptions.unsubscribe(caller.context, caller.shop_id, endpoint)}


async def known(caller: Caller, what: str) -> str:
    """The visitor's name, who must have allowed this."""
    name = caller.visitor
    if not name:
        raise Answer(401, "not a visitor whom we know")
    visitor = await store.of_visitor(caller.context.pool, caller.shop_id, name)
    if visitor is None or what not in visitor.allowed:
        raise Answer(403, f"the visitor has not allowed this: {what}")
    return name
