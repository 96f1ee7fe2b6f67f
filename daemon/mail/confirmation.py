"""The mail or text that asks somebody to confirm a consent: no advertising, no pixel, no tracked link."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping, Sequence
from hashlib import blake2b
from pathlib import Path

from babel import negotiate_locale
from jinja2 import Environment, FileSystemLoader, StrictUndefined

from channels.base import Mail
from daemon import tokens
from daemon.mail.context import Face
from daemon.mail.headers import Sender, domain_of
from daemon.mail.plain import clean
from daemon.mail.render import ACCENT, COLOUR, luminance

FOLDER = Path(__file__).parent
WORDS: Mapping[str, Mapping[str, str]] = tomllib.loads((FOLDER / "confirmation.toml").read_text("utf-8"))
FALLBACK = "en"
TEMPLATE = Environment(
    loader=FileSystemLoader(FOLDER), autoescape=True, undefined=StrictUndefined, trim_blocks=True
).get_template("confirmation.html")


def words(*locales: str) -> tuple[str, Mapping[str, str]]:
    """In the first of these languages that we speak, else in English."""
    wanted = [locale.replace("_", "-") for locale in locales if locale]
    lang = negotiate_locale(wanted, list(WORDS), sep="-") or FALLBACK
    return lang, WORDS[lang]


def confirmation(
    face: Face, imprint: Sequence[str], sender: Sender, wording: str, link: str, number: tuple[int, int],
    secrets: tokens.Secrets, pepper: bytes, *locales: str,
) -> Mail:  # fmt: skip
    """`number`: shop and request; the Message-ID is the same on every attempt, and what comes back to the envelope
    sender can only mean this request. Raises MailError for a bad sender."""
    domain = domain_of(sender.address, "the sender's address").lower()
    back = tokens.make_local_part(secrets, tokens.Token("asked", *number))
    lang, said = words(*locales)
    shop = clean(face.name, 80)
    values = {key: text.replace("{shop}", shop) for key, text in said.items()}
    accent = face.accent if COLOUR.fullmatch(face.accent) else ACCENT
    wording = clean(wording, 4000)
    html = TEMPLATE.render(
        values,
        lang=lang,
        shop=shop,
        wording=wording,
        link=link,
        accent=accent,
        on_accent="#ffffff" if luminance(accent) < 0.179 else "#000000",
        imprint=imprint,
    )
    text = "\n\n".join(
        (values["text"], f"    {wording}", values["ask"], f"{values['button']}:\n{link}", values["otherwise"],
         "-- \n" + "\n".join(imprint))
    )  # fmt: skip
    return Mail(
        subject=values["subject"],
        text=text + "\n",
        html=html,
        sender=sender.address,
        sender_name=clean(sender.name, 80),
        message_id=message_id(number, domain, pepper),
        envelope_sender=f"b+{back}@{(sender.bounce_domain or domain).lower()}",
        reply_to=sender.reply_to,
        headers=(
            ("Auto-Submitted", "auto-generated"),
            ("X-Auto-Response-Suppress", "All"),
            ("Content-Language", lang),
        ),
    )


def message_id(number: tuple[int, int], domain: str, pepper: bytes) -> str:
    """Without its angle brackets; nobody else can make one for this request (shop and number)."""
    mark = blake2b(f"opt-in {number}".encode(), key=blake2b(pepper, digest_size=32).digest(), digest_size=6).hexdigest()
    return f"o.{number[0]}.{number[1]}.{mark}@{domain}"


def text_of(shop: str, code: str, *locales: str) -> str:
    """The text message with its code."""
    return words(*locales)[1]["sms"].replace("{shop}", clean(shop, 40)).replace("{code}", code)
