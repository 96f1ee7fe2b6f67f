"""What a customer's mail holds, in words a shop owner would use."""

from __future__ import annotations

import dataclasses
import re
from datetime import UTC, datetime
from decimal import Decimal
from html.parser import HTMLParser

import pytest

from daemon.mail import MailError, NothingToShow, Reason, Tracking, load, render
from daemon.mail.sample import sample, tracking

TEMPLATES = load()
EVERY = [(name, locale) for name in sorted(TEMPLATES) for locale in ("de-DE", "en-GB")]
VOID = {"img", "br", "meta", "hr", "link"}


class Page(HTMLParser):
    """The mail as a program reads it: its elements with their attributes, and a check that they close."""

    def __init__(self, html: str) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(html)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.elements if name == tag]


@pytest.mark.parametrize(("name", "locale"), EVERY)
def test_both_parts_say_what_is_in_the_cart_what_it_costs_and_who_writes(name, locale):
    german = locale == "de-DE"
    mail = render(TEMPLATES[name], sample(locale, 3))
    for part in (mail.html, mail.text):
        for fact in (
            "Leinenschürze" if german else "Linen apron",
            "39,90\xa0€" if german else "€39.90",
            "142,90\xa0€" if german else "€142.90",
            "14. März 2026" if german else "14 March 2026",
            "3. November 2025" if german else "3 November 2025",
            "Lindenhof Handels GmbH",
            "Lindenstraße 12, 10969 Berlin",
            "https://tillbell.example/u/sample",
            "https://shop.example/cart?utm_source=tillbell",
        ):
            assert fact in part
    assert ("widersprechen" if german else "object to this use") in mail.text


@pytest.mark.parametrize(("name", "locale"), EVERY)
def test_it_is_sound_html_that_mail_programs_and_screen_readers_understand(name, locale):
    page = Page(render(TEMPLATES[name], sample(locale, 12), tracking()).html)
    assert page.open == []
    assert page.all("html")[0]["lang"] == locale[:2]
    assert page.all("html")[0]["dir"] == "ltr"
    assert {table.get("role") for table in page.all("table")} == {"presentation"}
    assert all("alt" in image for image in page.all("img"))
    assert [image["alt"] for image in page.all("img")].count("") == 1  # only the pixel has nothing to say
    assert page.all("script") == page.all("link") == page.all("form") == []
    assert {"name": "color-scheme", "content": "light dark"} in page.all("meta")
    assert len([tag for tag, _ in page.elements if tag == "h1"]) == 1


@pytest.mark.parametrize(("name", "locale"), EVERY)
def test_even_a_full_one_is_not_cut_by_gmail(name, locale):
    assert len(render(TEMPLATES[name], sample(locale, 12), tracking()).html.encode()) < 102_000


def test_without_consent_nothing_watches_the_reader():
    mail = render(TEMPLATES["remind"], sample("en", 3))
    assert not re.search(r"tillbell\.example/[oc]/", mail.html + mail.text)
    assert "nofollow" not in mail.html
    assert 'width="1"' not in mail.html
    assert mail.links == ()


def test_with_consent_each_link_has_its_number_and_leads_to_the_shop():
    mail = render(TEMPLATES["remind"], sample("en", 2), tracking())
    marks = "utm_source=tillbell&utm_medium=email&utm_campaign=main&utm_content=remind"
    assert [(link.no, link.kind, link.target) for link in mail.links] == [
        (0, "cart", f"https://shop.example/cart?{marks}"),
        (1, "product", f"https://shop.example/product/0?{marks}"),
        (2, "product", f"https://shop.example/product/1?{marks}"),
        (3, "shop", f"https://shop.example?{marks}"),
        (4, "honeypot", "https://shop.example"),
    ]
    page = Page(mail.html)
    written = {link["href"] for link in page.all("a")}
    assert written == {f"https://tillbell.example/c/sample-{no}" for no in range(5)} | {
        "https://tillbell.example/u/sample",
        "https://tillbell.example/p/sample",
    }
    (trap,) = [link for link in page.all("a") if link.get("rel") == "nofollow"]
    assert trap["href"] == "https://tillbell.example/c/sample-4"
    assert trap["aria-hidden"] == "true"
    assert "display:none" in (trap["style"] or "")
    assert trap["href"] not in mail.text
    assert page.all("img")[-1]["src"] == "https://tillbell.example/o/sample.gif"


def test_links_may_be_counted_without_a_pixel():
    mail = render(TEMPLATES["remind"], sample("en", 1), Tracking(lambda no: f"https://tillbell.example/c/{no}"))
    assert "/o/" not in mail.html
    assert mail.links


def test_only_doubts_links_to_shipping_and_returns():
    numbers = {name: len(render(TEMPLATES[name], sample("en", 1), tracking()).links) for name in TEMPLATES}
    assert numbers == {"remind": 4, "last-call": 4, "doubts": 6}


@pytest.mark.parametrize(
    ("lines", "shown", "more"), [(1, 1, None), (8, 8, None), (9, 8, "1 more item"), (12, 8, "4 more items")]
)
def test_a_long_cart_is_shortened(lines, shown, more):
    mail = render(TEMPLATES["remind"], sample("en", lines))
    assert mail.text.count("\n- ") == shown
    for part in (mail.html, mail.text):
        assert ("more item" in part) is (more is not None)
        assert more is None or more in part


def test_a_sold_out_line_is_marked():
    mail = render(TEMPLATES["remind"], sample("en", 6))
    assert "Stoneware bowl (Size: M): €18.00 [Sold out]" in mail.text
    assert mail.html.count("Sold out") == 1


def test_a_sold_out_line_is_left_out_where_the_shop_wants_it_and_the_total_follows():
    context = dataclasses.replace(sample("en", 6), sold_out="leave_out", total=Decimal("196.10"))
    mail = render(TEMPLATES["remind"], context)
    assert "Stoneware bowl" not in mail.text + mail.html
    assert "5 items" in mail.text
    assert "Total: €178.10" in mail.text


def test_a_total_that_cannot_be_known_is_not_told():
    context = dataclasses.replace(sample("en", 6), sold_out="leave_out")
    lines = tuple(dataclasses.replace(line, unit_price=None) for line in context.lines)
    mail = render(TEMPLATES["remind"], dataclasses.replace(context, lines=lines))
    assert "Total" not in mail.text


@pytest.mark.parametrize("sold_out", ["mark", "leave_out"])
def test_an_empty_cart_is_no_mail(sold_out):
    context = dataclasses.replace(sample("en", 1), lines=(), sold_out=sold_out)
    with pytest.raises(NothingToShow, match="no lines"):
        render(TEMPLATES["remind"], context)


def test_all_sold_out_is_no_mail():
    context = sample("en", 1)
    gone = tuple(dataclasses.replace(line, in_stock=False) for line in context.lines)
    with pytest.raises(NothingToShow, match="sold out"):
        render(TEMPLATES["remind"], dataclasses.replace(context, lines=gone, sold_out="leave_out"))


@pytest.mark.parametrize("imprint", [(), ("",), (" ", "\x00")])
def test_no_mail_without_an_imprint(imprint):
    with pytest.raises(MailError, match="no imprint"):
        render(TEMPLATES["remind"], dataclasses.replace(sample(), imprint=imprint))


def test_an_estimate_says_so():
    mail = render(TEMPLATES["remind"], dataclasses.replace(sample("en", 1), total_is_estimate=True))
    assert "Approx. total: €39.90" in mail.text
    assert "Approx. total" in mail.html


def test_a_rehearsal_is_told_from_a_real_one_at_once():
    mail = render(TEMPLATES["remind"], sample("en", 1, rehearsal=True))
    assert mail.subject == "[Rehearsal] Your cart at Lindenhof"
    assert mail.text.startswith("*** This is a rehearsal.")
    assert "This is a rehearsal." in mail.html
    assert "rehearsal" not in render(TEMPLATES["remind"], sample("en", 1)).html.lower()


@pytest.mark.parametrize(
    ("subjects", "expected"),
    [
        ({"de": "Na, {shop}?", "": "So?"}, "[Probe] Na, {shop}?"), ({"": "So?\r\nBcc: x"}, "[Probe] So? Bcc: x"),
        ({"en": "So?"}, "[Probe] Ihr Warenkorb bei Lindenhof"),
    ],
)  # fmt: skip
def test_a_step_may_bring_its_own_subject(subjects, expected):
    context = dataclasses.replace(sample("de-DE", rehearsal=True), subjects=subjects)
    mail = render(TEMPLATES["remind"], context)
    assert mail.subject == expected
    assert f"<title>{expected}</title>" in mail.html


@pytest.mark.parametrize(("name", "locale"), EVERY)
def test_no_line_is_longer_than_mail_allows(name, locale):
    mail = render(TEMPLATES[name], sample(locale, 12), tracking())
    assert max(len(line.encode()) for part in (mail.html, mail.text) for line in part.splitlines()) <= 998


@pytest.mark.parametrize(
    ("locale", "currency", "expected"),
    [
        ("de-DE", "EUR", "39,90\xa0€"), ("de-AT", "EUR", "€\xa039,90"), ("de-CH", "CHF", "CHF\xa039.90"),
        ("en-GB", "GBP", "£39.90"), ("en-US", "EUR", "€39.90"), ("fr-FR", "EUR", "€39.90"), ("en", "JPY", "¥40"),
        ("de", "XYZ", "39,90\xa0XYZ"), ("de", "?", ": 39,90"),
    ],
)  # fmt: skip
def test_money_as_the_reader_writes_it(locale, currency, expected):
    mail = render(TEMPLATES["remind"], dataclasses.replace(sample(locale, 1), currency=currency))
    assert expected in mail.text


@pytest.mark.parametrize(
    ("zone", "day"),
    [("Europe/Berlin", "15 March 2026"), ("America/New_York", "14 March 2026"), ("Mars/Olympus", "14 March 2026")],
)
def test_the_day_is_that_of_the_readers_place(zone, day):
    late = datetime(2026, 3, 14, 23, 30, tzinfo=UTC)
    assert day in render(TEMPLATES["remind"], dataclasses.replace(sample("en-GB"), zone=zone, changed_at=late)).text


def test_numbers_and_quantities():
    text = render(TEMPLATES["remind"], sample("de-DE", 5)).text
    assert "Baumwollband (Meterware), 2,5 × 3,20\xa0€: 8,00\xa0€" in text
    assert "Leinenschürze (Farbe: Salbei): 39,90\xa0€" in text


@pytest.mark.parametrize(
    ("first_name", "greeting"),
    [
        ("Ada", "Hello Ada,"), ("", "Hello,"), ("Zoë-Marie", "Hello Zoë-Marie,"), ("  Ada\r\n", "Hello Ada,"),
        ("Visit https://evil.example", "Hello,"), ("www.evil.example", "Hello,"), ("evil.example", "Hello,"),
        ("win 1000 EUR", "Hello,"), ("a" * 100, "Hello,"), ("J. R.", "Hello J. R.,"), ("<b>Ada</b>", "Hello,"),
    ],
)  # fmt: skip
def test_who_is_greeted(first_name, greeting):
    text = render(TEMPLATES["remind"], dataclasses.replace(sample("en"), first_name=first_name)).text
    assert text.splitlines()[0] == greeting


@pytest.mark.parametrize(
    ("reason", "told"),
    [
        (
            Reason("consent", datetime(2025, 1, 2, tzinfo=UTC)),
            "because you subscribed to e-mails from Lindenhof on 2 January 2025.",
        ),
        (Reason("consent"), "because you subscribed to e-mails from Lindenhof."),
        (Reason("existing_customer"), "You can object to this use of your address at any time, at no cost"),
        (Reason("none_required"), "because you put something into your cart at Lindenhof."),
    ],
)
def test_why_the_person_gets_it(reason, told):
    mail = render(TEMPLATES["remind"], dataclasses.replace(sample("en-GB"), reason=reason))
    assert told in mail.text
    assert told in mail.html


def test_marks_of_the_shops_own_stay():
    context = dataclasses.replace(sample("en", 1), cart_url="https://shop.example/cart?utm_source=own&b=1#top")
    link = render(TEMPLATES["remind"], context, tracking()).links[0]
    assert link.target == (
        "https://shop.example/cart?utm_source=own&b=1&utm_medium=email&utm_campaign=main&utm_content=remind#top"
    )


def test_a_link_to_a_second_host_of_the_shop_is_kept():
    face = dataclasses.replace(sample().shop, hosts=("checkout.example",))
    context = dataclasses.replace(sample("en", 1), shop=face, cart_url="https://www.checkout.example/c")
    assert render(TEMPLATES["remind"], context, tracking()).links[0].target.startswith("https://www.checkout.example/c")


@pytest.mark.parametrize(
    ("accent", "letters", "link"),
    [("#1f6f54", "#ffffff", "#1f6f54"), ("#f2b705", "#000000", "#23272e"), ("red;}", "#ffffff", "#1f6f54")],
    ids=["a dark colour", "a light colour", "no colour"],
)
def test_the_shops_colour_stays_readable(accent, letters, link):
    face = dataclasses.replace(sample().shop, accent=accent)
    html = render(TEMPLATES["doubts"], dataclasses.replace(sample(), shop=face)).html
    assert f"color:{letters}" in html
    assert f"a {{ color: {link}; }}" in html
    assert "red;}" not in html


def test_the_same_values_give_the_same_bytes():
    assert render(TEMPLATES["doubts"], sample("de", 4), tracking()) == render(
        TEMPLATES["doubts"], sample("de", 4), tracking()
    )


def test_what_is_stored_is_all_that_composing_needs():
    stored = render(TEMPLATES["remind"], sample("de-AT")).stored()
    assert set(stored) == {"subject", "html", "text", "language", "template", "digest"}
    assert stored["language"] == "de"
