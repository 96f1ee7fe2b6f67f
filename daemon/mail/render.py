"""One mail from a template and its values. Pure: the same values give the same bytes."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from decimal import Decimal
from typing import Any

from babel import Locale

from daemon.mail.context import MailContext, MailLine, Rendered
from daemon.mail.errors import NO_IMPRINT, MailError, NothingToShow
from daemon.mail.formats import Formats, locale_of, sane, tag_of
from daemon.mail.links import Links, Tracking, bare_host, web_url
from daemon.mail.plain import clean, first_name
from daemon.mail.template import Template, Voice

NAME, OPTIONS, IMPRINT, SUBJECT = 120, 120, 200, 150
"""Longest texts, in characters."""
LARGEST = 512 * 1024
COLOUR = re.compile(r"#[0-9a-fA-F]{6}")
ACCENT = "#1f6f54"
BLANK_LINES = re.compile(r"[ \t]*\n(?:[ \t]*\n)+")

Values = dict[str, Any]


def render(template: Template, context: MailContext, tracking: Tracking | None = None) -> Rendered:
    """`tracking` only with the person's consent: without it links are plain and there is neither pixel nor honeypot.

    Raises `MailError` where something is missing that the law or the reader needs, `NothingToShow` for an empty cart.
    """
    language, links, values = valued(template, context, tracking)
    html, text = printed(template, values)
    table = tuple(links.table) if tracking else ()
    return Rendered(values["mail"]["subject"], html, text, table, language, template.name, template.digest)


def valued(template: Template, context: MailContext, tracking: Tracking | None) -> tuple[str, Links, Values]:
    """The language, the links as they were numbered, and all that the template may show. Raises as `render` does."""
    language, voice = template.voice(context.locale, context.shop_locale)
    locale = spoken_locale(language, context)
    formats = Formats(tag_of(locale), context.zone, context.currency)
    links = Links(hosts(context), marks(context), tracking)
    cart = cart_values(context, formats, links)
    lines = line_values(context, formats, links)
    words = said(voice, context, cart, lines[0]["name"], formats)
    values: Values = {
        "cart": cart,
        "lines": lines,
        "words": words,
        "shop": shop_values(context, links, template.shows),
        "person": {"first_name": first_name(context.first_name)},
        "imprint": imprint(context),
        "mail": mail_values(context, words, language, locale, links),
    }
    return language, links, values


def printed(template: Template, values: Values) -> tuple[str, str]:
    html, text = template.html.render(values), template.text.render(values)
    if len(html) + len(text) > LARGEST:
        raise MailError(f"{template.name} grew to {len(html) + len(text)} characters; {LARGEST} are taken")
    return html, BLANK_LINES.sub("\n\n", text).strip() + "\n"


def spoken_locale(language: str, context: MailContext) -> Locale:
    """Money and dates as the person writes them where the mail is in their language, else as that language does."""
    spoken = locale_of(language) or Locale("en")
    for tag in (context.locale, context.shop_locale):
        locale = locale_of(tag)
        if locale is not None and locale.language == spoken.language:
            return locale
    return spoken


def hosts(context: MailContext) -> frozenset[str]:
    own = bare_host(web_url(context.shop.url))
    if not own:
        raise MailError(f"the shop's address is no web address: {clean(context.shop.url, 80)!r}")
    return frozenset((own, *(host.lower().removeprefix("www.") for host in context.shop.hosts)))


def marks(context: MailContext) -> tuple[tuple[str, str], ...]:
    return (
        ("utm_source", "tillbell"),
        ("utm_medium", "email"),
        ("utm_campaign", clean(context.campaign, 60)),
        ("utm_content", clean(context.step, 60)),
    )


def shown(context: MailContext) -> Sequence[MailLine]:
    if context.sold_out == "mark":
        return context.lines
    return [line for line in context.lines if line.in_stock is not False]


def cart_values(context: MailContext, formats: Formats, links: Links) -> Values:
    lines = shown(context)
    if not lines:
        raise NothingToShow("every line of the cart is sold out" if context.lines else "the cart has no lines")
    total = context.total if len(lines) == len(context.lines) else remaining(lines)
    return {
        "url": links.to("cart", context.cart_url) or links.to("cart", context.shop.url),
        "total": formats.money(total),
        "total_is_estimate": context.total_is_estimate,
        "count": len(lines),
        "more": max(0, len(lines) - context.most_lines),
        "date": formats.date(context.changed_at),
    }


def remaining(lines: Sequence[MailLine]) -> Decimal | None:
    """The sum without the lines that were left out; unknown as soon as one price is."""
    sums = [sum_ for line in lines if (sum_ := cost(line)) is not None]
    return sum(sums, Decimal()) if len(sums) == len(lines) else None


def cost(line: MailLine) -> Decimal | None:
    """None where the price is unknown, or either number none that could be true."""
    price = line.unit_price
    return price * line.quantity if price is not None and sane(price) and sane(line.quantity) else None


def line_values(context: MailContext, formats: Formats, links: Links) -> list[Values]:
    return [one_line(line, formats, links) for line in shown(context)[: context.most_lines]]


def one_line(line: MailLine, formats: Formats, links: Links) -> Values:
    name = clean(line.name, NAME) or "…"
    quantity, price = formats.number(line.quantity), formats.money(line.unit_price)
    return {
        "name": name,
        "initial": next((letter for letter in name if letter.isalnum()), "•").upper(),
        "options": clean(line.options, OPTIONS),
        "quantity": quantity,
        "price": price,
        "amount": amount(quantity, price),
        "sum": formats.money(cost(line)),
        "image_url": web_url(line.image_url),
        "url": links.to("product", line.url),
        "sold_out": line.in_stock is False,
    }


def amount(quantity: str, price: str) -> str:
    """`2 × 19,90 €`; a single piece needs no sum."""
    if quantity == "1":
        return ""
    return f"{quantity} × {price}" if quantity and price else f"{quantity} ×" if quantity else ""


def shop_values(context: MailContext, links: Links, shows: frozenset[str]) -> Values:
    shop = context.shop
    accent = shop.accent if COLOUR.fullmatch(shop.accent) else ACCENT
    light = luminance(accent)
    return {
        "name": clean(shop.name, 80),
        "url": links.to("shop", shop.url),
        "logo_url": web_url(shop.logo_url),
        "accent": accent,
        "on_accent": "#ffffff" if light < 0.179 else "#000000",
        "link": accent if light < 0.183 else "#23272e",
        "shipping_url": links.to("shop", shop.shipping_url) if "shop.shipping_url" in shows else "",
        "returns_url": links.to("shop", shop.returns_url) if "shop.returns_url" in shows else "",
    }


def luminance(colour: str) -> float:
    """Relative luminance (WCAG 2). Below 0.179 white letters are read better on it than black ones; below 0.183 it is
    itself read well on white (contrast 4.5)."""
    shares = [int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    red, green, blue = [share / 12.92 if share <= 0.03928 else ((share + 0.055) / 1.055) ** 2.4 for share in shares]
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def imprint(context: MailContext) -> list[str]:
    lines = [text for line in context.imprint if (text := clean(line, IMPRINT))]
    if not lines:
        raise MailError(NO_IMPRINT)
    return lines


def mail_values(context: MailContext, words: Mapping[str, str], language: str, locale: Locale, links: Links) -> Values:
    unsubscribe = web_url(context.unsubscribe_url)
    if not unsubscribe:
        raise MailError("a mail needs a way to unsubscribe")
    mark = f"{words['rehearsal_mark']} " if context.rehearsal else ""
    own = next((subject for tag in (language, locale.language, "") if (subject := context.subjects.get(tag))), None)
    tracking = links.tracking
    return {
        "subject": clean(mark + (own or words["subject"]), SUBJECT),
        "preheader": words["preheader"],
        "language": language,
        "direction": locale.text_direction,
        "rehearsal": context.rehearsal,
        "pixel_url": web_url(tracking.pixel_url) if tracking else "",
        "honeypot_url": links.to("honeypot", context.shop.url) if tracking else "",
        "unsubscribe_url": unsubscribe,
        "preferences_url": web_url(context.preferences_url) if context.preferences_url else "",
        "reason": words[reason(context)],
        "objection": words[f"objection_{context.reason.kind}"],
    }


def reason(context: MailContext) -> str:
    undated = context.reason.at is None and context.reason.kind != "none_required"
    return f"reason_{context.reason.kind}{'_undated' if undated else ''}"


def said(voice: Voice, context: MailContext, cart: Values, first: str, formats: Formats) -> dict[str, str]:
    """Every word of the template, with this mail's values in it."""
    name = first_name(context.first_name)
    counts = {"count": cart["count"], "more": cart["more"]}
    values = {
        "shop": clean(context.shop.name, 80),
        "name": name,
        "count": formats.number(Decimal(cart["count"])),
        "more": formats.number(Decimal(cart["more"])),
        "total": cart["total"],
        "cart_date": cart["date"],
        "reason_date": formats.date(context.reason.at),
        "first_line": clean(first, 50),
    }
    locale = locale_of(formats.tag)
    plural: Callable[[int], str] = locale.plural_form if locale else str
    return {word: spoken.always or spoken.say(values, counts, plural) for word, spoken in voice.items()}
