"""What a step's text message is made of: the cart in a few words, one link back to it, and the way out."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Any, Literal

from channels.base import Text
from daemon import tokens
from daemon.book import Book
from daemon.context import Context, address_hmac
from daemon.flow import mails
from daemon.flow.mails import Wares
from daemon.mail import MailError, NothingToShow
from daemon.mail.formats import locale_of
from daemon.mail.links import bare_host, shop_url, web_url, with_marks
from daemon.mail.texts import RenderedText, TextContext, Voices, render_text, too_long
from daemon.opening import sms_is_configured
from daemon.settings import Settings
from daemon.store.facts import Case
from daemon.store.messages import Claim, LinkRow, Prepared, ToPrepare
from daemon.tokens import Short
from rules.law import may_track
from rules.policy import Step
from rules.questions import deliverable_until
from rules.shops import ShopWords
from rules.source import Mistake
from rules.texts import takes_answers

CART = 0
"""Number of the one link that a text has."""
NOBODY = "🙂"
"""Stands for a first name that is not known."""
LEAST_VALID = timedelta(seconds=5)
"""What Twilio calls the least that makes sense."""
LONG_TOKEN = 24
"""Letters of a short link's token that no shop will outgrow."""
LONG_BASE = "https://" + "t" * 24
"""Stands for an address that is not known yet when a text is measured."""


def prepare(context: Context, shop_id: int, one: ToPrepare, case: Case, wares: Wares) -> Prepared:
    """The text as it will leave, its parts counted. Raises MailError, NothingToShow."""
    step = wares.policy.step(one.step)
    if step is None:
        raise MailError(f"the policy has no step {one.step}")
    shop = context.keeper.book.shops[context.shop_name(shop_id)]
    tracked = may_track(wares.policy.profile, case.facts.person, "track_click")
    link = _link(context, "click", shop_id, one, silent=not tracked)
    way_out = "" if takes_answers(sender_of(shop, context.settings)) else _link(context, "unsubscribe", shop_id, one)
    known = _known(shop, one, case, wares, link, way_out)
    text = render_text(context.voices, step.template_name, step.text or {}, known, wares.policy.segments)
    return Prepared(
        id=one.id,
        content={
            **_stored(text),
            **_approved(shop, step, text, known),
            "policy": case.policy_name,
            "to": address_hmac(context.pepper, "phone", address(context, shop_id, case, rehearsal=one.rehearsal)).hex(),
        },
        tracked=tracked,
        facts_no=case.facts_no,
        links=[LinkRow(CART, "cart", _target(shop, case, one))],
    )


def composed(context: Context, shop_id: int, claim: Claim, case: Case) -> Text:
    """A claimed message, as the channel takes it. Raises MailError."""
    content = claim.content
    token = mails.token(context, "told", shop_id, claim.id, claim.rehearsal)
    return Text(
        body=str(content["body"]),
        valid_for=valid_for(context, context.shop_called(shop_id), claim, case),
        sender=sender_of(context.words_of(shop_id), context.settings),
        callback_url=f"{mails.base_url(context)}/hooks/channel/sms?m={token}",
        template=str(content.get("template", "")),
        values=json.loads(content["values"]) if content.get("values") else {},
    )


def address(context: Context, shop_id: int, case: Case, *, rehearsal: bool) -> str:
    """In a rehearsal the shop's own phone."""
    shop = context.words_of(shop_id)
    return (shop.sms.rehearsal_to or "") if rehearsal else case.facts.person.addresses.get("phone", "")


def unable(shop: ShopWords, settings: Settings) -> str:
    """Why nothing could leave for this shop; empty: it could."""
    if not sms_is_configured(settings):
        return "TILLBELL_TWILIO_ACCOUNT_SID and TILLBELL_TWILIO_AUTH_TOKEN are not set"
    if not sender_of(shop, settings):
        return "there is no sender: TILLBELL_TWILIO_FROM, or sms: {from: …} in shops.yaml"
    if not (shop.sms.countries or shop.country):
        return "nobody says which countries are written to: sms: {countries: [DE, AT]} in shops.yaml"
    return ""


def mistakes(book: Book, voices: Voices, base_url: str) -> Iterator[Mistake]:
    """Texts that cannot fit into the parts that their policy allows, whatever is shortened, each with its place."""
    for name, policies in book.policies_by_shop.items():
        shop = book.shops[name]
        for policy in policies:
            for no, step in enumerate(policy.steps):
                if step.send != "sms":
                    continue
                found = too_long(voices, step.template_name, step.text or {}, _sample(shop, base_url), policy.segments)
                if found:
                    place = book.trees[policy.name].find(("steps", no, "text" if step.text else "send"))
                    yield Mistake(place, f'in the shop "{name}": {found}; hint: shorter words, or more segments')


def sender_of(shop: ShopWords, settings: Settings) -> str:
    return shop.sms.sender or settings.twilio_from


def valid_for(context: Context, shop: str, claim: Claim, case: Case) -> timedelta:
    """How long it may wait at the provider: within the lawful hours, those of the policy, and the step's time."""
    longest, at = context.settings.sms_valid_for, claim.sending_at
    policy = context.keeper.book.policy(shop, case.policy_name)
    if at is None or policy is None:
        return longest
    until = deliverable_until(policy, case.facts, "sms", at, claim.not_after or at + longest)
    return min(longest, max(LEAST_VALID, until - at))


def _link(
    context: Context, purpose: Literal["click", "unsubscribe"], shop_id: int, one: ToPrepare, *, silent: bool = False
) -> str:
    short = Short(purpose, shop_id, one.id, one.rehearsal, silent)
    return f"{mails.base_url(context)}/s/{tokens.make_short(context.secrets, short)}"


def _known(shop: ShopWords, one: ToPrepare, case: Case, wares: Wares, link: str, way_out: str) -> TextContext:
    lines = mails.mail_lines(case.lines, wares.products)
    wanted = [line for line in lines if line.in_stock is not False]
    if not wanted:
        raise NothingToShow("nothing of the cart can be bought any more")
    cart = case.facts.cart
    return TextContext(
        shop=shop.shown_as,
        link=link,
        way_out=way_out,
        name=case.first_name,
        first_line=wanted[0].name,
        count=len(wanted),
        total=cart.total if len(wanted) == len(case.lines) else mails.total_of(wanted),
        currency=cart.currency,
        locale=case.locale,
        shop_locale=shop.locale,
        zone=case.facts.person.zone or shop.zone,
        rehearsal=one.rehearsal,
    )


def _stored(text: RenderedText) -> Mapping[str, Any]:
    return {"body": text.body, "language": text.language, "segments": text.length.segments}


def _approved(shop: ShopWords, step: Step, text: RenderedText, known: TextContext) -> Mapping[str, str]:
    """The approved template that says it on WhatsApp: in its language, in none, or in the shop's. Empty: there is none.
    No value is: Meta takes no empty ones."""
    spoken, at_home = locale_of(text.language), locale_of(shop.locale)
    tongues = [f"{step.template_name}.{one.language}" if one else "" for one in (spoken, at_home)]
    names = (tongues[0], step.template_name, tongues[1])
    template = next((shop.sms.templates[name] for name in names if name in shop.sms.templates), "")
    values = {"1": known.shop, "2": known.name or NOBODY, "3": known.first_line, "4": known.link}
    return {"template": template, "values": json.dumps(values, ensure_ascii=False)} if template else {}


def _target(shop: ShopWords, case: Case, one: ToPrepare) -> str:
    """Where the link leads: only ever to the shop."""
    marks = (("utm_source", "tillbell"), ("utm_medium", "sms"), ("utm_campaign", case.policy_name),
             ("utm_content", one.step))  # fmt: skip
    own = frozenset((bare_host(web_url(shop.url)), *(host.removeprefix("www.") for host in shop.hosts)))
    wanted = (case.recovery_url, shop.cart_page or "", shop.url)
    return next((url for page in wanted if page and (url := shop_url(page, own, marks))), with_marks(shop.url, marks))


def _sample(shop: ShopWords, base_url: str) -> TextContext:
    link = f"{base_url or LONG_BASE}/s/{'x' * LONG_TOKEN}"
    return TextContext(
        shop.shown_as, link, "" if takes_answers(shop.sms.sender or "+") else link, "Maximiliane", "Wanderschuh", 12,
        Decimal("1234.56"), shop.currency, shop.locale, shop.locale,
    )  # fmt: skip
