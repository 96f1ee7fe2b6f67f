"""What a step's mail is made of: the cart as it is now, the shop's face, the person's links."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from decimal import Decimal

from channels.base import Content, Mail
from daemon import tokens
from daemon.context import Context
from daemon.errors import ConfigurationError
from daemon.mail import (
    Errand,
    Face,
    MailContext,
    MailError,
    MailLine,
    NothingToShow,
    Reason,
    Rendered,
    Sender,
    Template,
    Tracking,
    compose_mail,
    render,
)
from daemon.mail.packed import packed, unpacked
from daemon.mail.sample import sample
from daemon.settings import Settings
from daemon.shops.base import Product
from daemon.store.facts import Case
from daemon.store.messages import Claim, LinkRow, Prepared, ToPrepare
from rules.law import may_track
from rules.policy import Policy
from rules.shops import ShopWords

NO_IMPRINT = ("(The imprint is still missing: see sender in shops.yaml.)",)


NO_SHOP = 0
"""In the links of a sample, for a shop that the database does not know yet: no row has this number."""


@dataclass(frozen=True, slots=True)
class Wares:
    """What a batch of mails shares."""

    policy: Policy
    products: Mapping[str, Product] | None
    now: datetime


def base_url(context: Context) -> str:
    """Where the public paths are reached from outside."""
    return context.settings.public_base_url or f"http://{context.settings.listen}"


def token(
    context: Context,
    purpose: tokens.Purpose,
    shop_id: int,
    message_id: int,
    rehearsal: bool,
    link_no: int = tokens.NO_LINK,
) -> str:
    return tokens.make(context.secrets, tokens.Token(purpose, shop_id, message_id, link_no, rehearsal))


def tracking(context: Context, shop_id: int, one: ToPrepare, case: Case, policy: Policy) -> Tracking | None:
    """Only with consent (§ 25 TDDDG where the profile says so): None means plain links and no pixel."""
    person = case.facts.person
    if not may_track(policy.profile, person, "track_click"):
        return None
    base = base_url(context)

    def link_for(no: int) -> str:
        return f"{base}/c/{token(context, 'click', shop_id, one.id, one.rehearsal, no)}"

    pixel = f"{base}/o/{token(context, 'open', shop_id, one.id, one.rehearsal)}.gif"
    return Tracking(link_for, pixel if may_track(policy.profile, person, "track_open") else "")


def render_step(
    context: Context,
    shop_id: int,
    one: ToPrepare,
    case: Case,
    wares: Wares,
    unsubscribe: str,
    tracked: Tracking | None,
) -> Rendered:
    """The mail of one step. Raises MailError, or NothingToShow when no line is left that could be bought."""
    step = wares.policy.step(one.step)
    if step is None:
        raise MailError(f"the policy has no step {one.step}")
    template = templates(context).get(step.template_name)
    if template is None:
        raise MailError(f"there is no template {step.template_name}")
    shop = context.keeper.book.shops[context.shop_name(shop_id)]
    chosen = f"{base_url(context)}/p/{token(context, 'prefer', shop_id, one.id, one.rehearsal)}"
    known = mail_context(shop, one, case, wares, unsubscribe)
    values = replace(known, subjects=step.subject or {}, preferences_url=chosen)
    if all(line.in_stock is False for line in values.lines):
        raise NothingToShow("nothing of the cart can be bought any more")
    return render(template, values, tracked)


def templates(context: Context) -> Mapping[str, Template]:
    """As compiled when the rules were last read."""
    return context.templates


def mail_context(shop: ShopWords, one: ToPrepare, case: Case, wares: Wares, unsubscribe: str) -> MailContext:
    known = case.facts
    lines = mail_lines(case.lines, wares.products)
    whole = len(lines) == len(case.lines)
    return MailContext(
        shop=face(shop),
        imprint=(shop.sender.imprint if shop.sender else ()) or NO_IMPRINT,
        lines=lines,
        currency=known.cart.currency,
        cart_url=case.recovery_url or shop.cart_page or shop.url,
        changed_at=known.cart.changed_at,
        reason=Reason(one.basis, basis_at(one.basis, case)),
        unsubscribe_url=unsubscribe,
        total=known.cart.total if whole else total_of(lines),
        total_is_estimate=case.total_is_estimate or not whole,
        first_name=case.first_name,
        locale=case.locale,
        shop_locale=shop.locale,
        zone=known.person.zone or shop.zone,
        sold_out=shop.sold_out,
        rehearsal=one.rehearsal,
        campaign=case.policy_name,
        step=one.step,
    )


def face(shop: ShopWords) -> Face:
    """How the shop shows itself in its mails."""
    looks = shop.looks
    return Face(
        name=shop.shown_as,
        url=shop.url,
        hosts=shop.hosts,
        logo_url=looks.logo_url or "",
        accent=looks.accent,
        shipping_url=looks.shipping_url or "",
        returns_url=looks.returns_url or "",
    )


def mail_lines(lines: Sequence[Mapping[str, object]], products: Mapping[str, Product] | None) -> tuple[MailLine, ...]:
    """The cart's lines with what the shop says of the products now. What it no longer sells is left out."""
    shown = []
    for line in lines:
        product = None if products is None else products.get(str(line["product"]))
        if products is not None and (product is None or not product.active):
            continue
        price = line["price"]
        shown.append(
            MailLine(
                name=str(line["name"]) or (product.name if product else ""),
                quantity=Decimal(str(line["quantity"])),
                unit_price=None if price is None else Decimal(str(price)),
                options=str(line["options"]),
                image_url=(product.image_url if product else "") or str(line["image"]),
                url=(product.url if product else "") or str(line["url"]),
                in_stock=product.in_stock if product else _known(line["in_stock"]),
            )
        )
    return tuple(shown)


def _known(value: object) -> bool | None:
    return value if isinstance(value, bool) else None


def total_of(lines: Sequence[MailLine]) -> Decimal | None:
    """What the lines come to; None where a price is not known."""
    sums = [line.unit_price * line.quantity for line in lines if line.unit_price is not None]
    return sum(sums, Decimal()) if len(sums) == len(lines) else None


def basis_at(basis: str, case: Case) -> datetime | None:
    """When the consent was given or the order placed that the message rests on."""
    person = case.facts.person
    if basis == "existing_customer":
        return person.last_bought.at if person.last_bought else None
    consent = person.consents.get("email_mkt")
    return consent.at if consent and basis == "consent" else None


def prepare(context: Context, shop_id: int, one: ToPrepare, case: Case, wares: Wares) -> Prepared:
    """Rendered, its links tokenised: what the outbox keeps. Raises MailError."""
    unsubscribe = f"{base_url(context)}/u/{token(context, 'unsubscribe', shop_id, one.id, one.rehearsal)}"
    tracked = tracking(context, shop_id, one, case, wares.policy)
    rendered = render_step(context, shop_id, one, case, wares, unsubscribe, tracked)
    return Prepared(
        id=one.id,
        content={**rendered.told(), "unsubscribe": unsubscribe, "policy": case.policy_name, "octets": rendered.octets},
        tracked=tracked is not None,
        facts_no=case.facts_no,
        links=[LinkRow(link.no, link.kind, link.target) for link in rendered.links],
        letter=packed(rendered.html, rendered.text),
    )


def composed(context: Context, shop_id: int, claim: Claim, case: Case) -> Content:
    """The mail of a claimed message, as the channel takes it. Raises MailError."""
    return _composed(context, context.shop_name(shop_id), shop_id, claim)


def address(context: Context, shop_id: int, case: Case, *, rehearsal: bool) -> str:
    """Whom it goes to; empty: to nobody."""
    shop = context.keeper.book.shops[context.shop_name(shop_id)]
    return (shop.rehearsal_to or "") if rehearsal else case.facts.person.addresses.get("email", "")


def unable(shop: ShopWords, settings: Settings) -> str:
    """Why no mail of this shop could leave; empty: it could."""
    return "" if settings.smtp_host else "TILLBELL_SMTP_HOST is not set"


def _composed(context: Context, name: str, shop_id: int, claim: Claim) -> Mail:
    shop = context.keeper.book.shops[name]
    if shop.sender is None:
        raise MailError("the shop has no sender")
    sender = Sender(shop.sender.address, shop.sender.name, shop.sender.reply_to or "", shop.sender.bounce_domain or "")
    errand = Errand(
        shop_id=shop_id,
        message_id=claim.id,
        shop=name,
        programme="cart",
        policy=str(claim.content["policy"]),
        step=claim.step,
        unsubscribe_url=str(claim.content["unsubscribe"]),
        rehearsal=claim.rehearsal,
    )
    content = {key: str(value) for key, value in claim.content.items()}
    if claim.letter is not None:  # before there were any, content had both texts
        content |= unpacked(claim.letter)
    return compose_mail(content, sender, errand, context.secrets, context.pepper)


def sample_mail(context: Context, shop_name: str, template_name: str, locale: str) -> Mail:
    """A made-up cart in the shop's own looks, marked as a rehearsal, for `send-test`. Raises ConfigurationError."""
    shop = context.keeper.book.shops[shop_name]
    template = templates(context).get(template_name)
    if template is None:
        raise ConfigurationError(
            f'there is no template "{template_name}"; there are: {", ".join(sorted(templates(context)))}'
        )
    if shop.sender is None:
        raise ConfigurationError(f'the shop "{shop_name}" has no sender in shops.yaml')
    shop_id = context.shop_ids.get(shop_name, NO_SHOP)
    unsubscribe = f"{base_url(context)}/u/{token(context, 'unsubscribe', shop_id, 0, rehearsal=True)}"
    values = replace(
        sample(locale, rehearsal=True),
        shop=face(shop),
        imprint=shop.sender.imprint or NO_IMPRINT,
        cart_url=shop.cart_page or shop.url,
        unsubscribe_url=unsubscribe,
    )
    content = {**render(template, values).stored(), "unsubscribe": unsubscribe, "policy": "test"}
    return _composed(context, shop_name, shop_id, Claim(0, 0, 0, 0, template_name, True, content))
