"""Names that customers and sellers invent: whatever they hold, the mail around them stays as it is."""

from __future__ import annotations

import dataclasses
import email.policy
from decimal import Decimal
from email.message import EmailMessage
from html.parser import HTMLParser

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from daemon.mail import MailContext, load, render
from daemon.mail.context import Reason
from daemon.mail.plain import clean
from daemon.mail.sample import AT, sample, tracking

TEMPLATES = load()
NASTY = [
    "{{7*7}}",
    "{% for x in lines %}{{ x }}{% endfor %}",
    "{shop} {0} {name.__class__} %s %(x)s ${x}",
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "</td></tr></table></body></html>",
    "<!-- <![if mso]> -->",
    "' onmouseover='alert(1)",
    "&lt;b&gt; &amp;amp;",
    "\u202egnp.exe\u202c \u2066left\u2069",
    "\u05e9\u05dc\u05d5\u05dd \u0645\u0631\u062d\u0628\u0627",
    "a\x00b\x1b[31m\x7f",
    "Subject\r\nBcc: evil@example.org\r\n\r\nbody",
    "line\u2028separator\u2029paragraph\x85next",
    "👩\u200d👩\u200d👧\u200d👦 🏳️\u200d🌈 👍🏽",
    "Z͑ͫ̓ͪ̂ͫ̽͏̴̙̤̞͉͚̯̞̠͍A̴̵̜̰͔ͫ͗͢L̠ͨͧͩ͘G̴̻͈͍͔̹̑͗̎̅͛́Ǫ̵̹̻̝̳͂̌̌͘!͖̬̰̙̗̿̋ͥͥ̂ͣ̐́́͜͞",
    "x" * 65536,
    "\u0301" * 65536,
    '=HYPERLINK("https://evil.example","x")',
    "https://evil.example/login",
    "\ud800 lone \udfff",
    "",
    " \t\n",
]


class Tags(HTMLParser):
    def __init__(self, html: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, tuple[str, ...]]] = []
        self.words: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, tuple(sorted(name for name, _ in attrs))))

    def handle_data(self, data: str) -> None:
        self.words.append(data)


def with_name(name: str) -> MailContext:
    context = sample("en", 2)
    lines = tuple(dataclasses.replace(line, name=name, options=name, image_url="", url="") for line in context.lines)
    face = dataclasses.replace(context.shop, name=name)
    return dataclasses.replace(context, lines=lines, shop=face, first_name=name, imprint=(name, "Berlin"))


ANY = st.one_of(
    st.sampled_from(NASTY), st.text(max_size=300), st.lists(st.sampled_from(NASTY), max_size=4).map("".join)
)


@settings(max_examples=500, deadline=None)
@given(name=ANY, template=st.sampled_from(sorted(TEMPLATES)))
def test_whatever_they_are_called_the_mail_keeps_its_shape(name, template):
    mail = render(TEMPLATES[template], with_name(name), tracking())
    harmless = render(TEMPLATES[template], with_name("Apron"), tracking())
    assert without_names(Tags(mail.html).tags) == without_names(Tags(harmless.html).tags)
    for part in (mail.subject, mail.html, mail.text):
        part.encode()
        assert not set(part) & set("\x00\x1b\x7f\x85\u2028\u2029\u202e\u2066")
    assert not set("\r\n") & set(mail.subject)
    assert len(mail.subject) <= 150
    assert len(mail.html) < 60_000
    assert clean(name, 120) in mail.text


def without_names(tags: list[tuple[str, tuple[str, ...]]]) -> list[tuple[str, tuple[str, ...]]]:
    """Options may be empty, and then have no row."""
    return [tag for tag in tags if tag[0] not in ("div", "br", "span")]


@pytest.mark.parametrize("name", NASTY, ids=range(len(NASTY)))
def test_the_subject_stays_one_header(name):
    mail = render(TEMPLATES["last-call"], with_name(name))
    message = EmailMessage(policy=email.policy.SMTP)
    message["Subject"] = mail.subject
    message["From"] = "shop@shop.example"
    parsed = email.message_from_bytes(message.as_bytes(), policy=email.policy.SMTP)
    assert parsed.keys() == ["Subject", "From"]


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)", "data:text/html,x", "//evil.example", "https://evil.example/", "ftp://shop.example/",
        "https://shop.example.evil.example/", "https://shop.example@evil.example/", "https://evilshop.example/",
        "https://shop.example\\@evil.example/", 'https://shop.example/"><b>', "https://shop.example/\r\nX: y",
        "https://shop.example:x/", "https://[::1", "/cart", "", "https://shop.example/" + "a" * 3000,
        "https://xn--\ud800.example/", "https://" + "ß" * 300 + ".example",
    ],
)  # fmt: skip
def test_a_link_that_is_none_of_the_shops_is_no_link(url):
    context = sample("en", 1)
    lines = tuple(dataclasses.replace(line, url=url) for line in context.lines)
    mail = render(TEMPLATES["remind"], dataclasses.replace(context, lines=lines, cart_url=url), tracking())
    assert [(link.kind, link.target.split("?")[0]) for link in mail.links] == [
        ("cart", "https://shop.example"), ("shop", "https://shop.example"), ("honeypot", "https://shop.example"),
    ]  # fmt: skip
    assert "evil" not in mail.html + mail.text


@pytest.mark.parametrize("amount", ["1E+999999", "-1E+999999", "NaN", "Infinity", "1E-999999", "sNaN"])
def test_an_impossible_price_is_not_printed(amount):
    context = sample("en", 1)
    lines = tuple(dataclasses.replace(line, unit_price=Decimal(amount), quantity=Decimal(1)) for line in context.lines)
    mail = render(TEMPLATES["remind"], dataclasses.replace(context, lines=lines, total=Decimal(amount), currency="€€"))
    assert len(mail.text) < 3000


@settings(max_examples=200, deadline=None)
@given(locale=st.text(max_size=40), zone=st.text(max_size=40), currency=st.text(max_size=5))
def test_a_garbled_locale_zone_or_currency_stops_no_mail(locale, zone, currency):
    context = dataclasses.replace(sample("en", 2), locale=locale, zone=zone, currency=currency)
    assert render(TEMPLATES["remind"], context).language in ("de", "en")


@pytest.mark.parametrize("kind", ["consent", "existing_customer", "none_required"])
@pytest.mark.parametrize("at", [AT, None], ids=["dated", "undated"])
def test_every_basis_has_its_sentence(kind, at):
    mail = render(TEMPLATES["remind"], dataclasses.replace(sample("en"), reason=Reason(kind, at)))
    assert ("2026" in mail.text.split("-- \n")[1]) is (at is not None and kind != "none_required")
