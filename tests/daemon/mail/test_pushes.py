"""What a push says, and that it always fits."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import regex

from daemon.mail import MailError
from daemon.mail.context import Face, MailContext, MailLine, Reason
from daemon.mail.links import Tracking
from daemon.mail.pushes import MOST, cut, languages, payload, render_push

SHIPPED = languages(Path("nowhere"))
AT = datetime(2026, 3, 2, 9, tzinfo=UTC)
LINE = MailLine("Rote Schuhe", Decimal(1), Decimal("49.90"), image_url="https://shop.example/i.jpg")
CART = MailContext(
    shop=Face("Laden", "https://shop.example", logo_url="https://shop.example/logo.png"),
    imprint=("Laden GmbH",),
    lines=(LINE,),
    currency="EUR",
    cart_url="https://shop.example/cart",
    changed_at=AT,
    reason=Reason("consent", AT),
    unsubscribe_url="https://t.shop.example/u/x",
    locale="de-DE",
)


def said(context=CART, template="glance", spoken=SHIPPED, tracking=None, most=MOST):
    return json.loads(payload(render_push(spoken, template, context, tracking).parts, "t" * 24, most))


def test_push_says_whose_cart_it_is_and_what_lies_in_it():
    assert said() == {
        "by": "tillbell",
        "title": "Ihr Warenkorb bei Laden",
        "body": "Rote Schuhe liegt noch darin.",
        "tag": "t" * 24,
        "url": "https://shop.example/cart?utm_source=tillbell&utm_medium=webpush",
        "lang": "de",
        "dir": "ltr",
        "image": "https://shop.example/i.jpg",
        "icon": "https://shop.example/logo.png",
        "actions": [
            {
                "action": "cart",
                "title": "Zum Warenkorb",
                "url": "https://shop.example/cart?utm_source=tillbell&utm_medium=webpush",
            },
            {"action": "stop", "title": "Abmelden", "url": "https://t.shop.example/u/x"},
        ],
    }


def test_push_speaks_the_language_of_the_person_or_else_of_the_shop():
    assert said(replace(CART, locale="en-GB"))["body"] == "Rote Schuhe is still in it."
    assert said(replace(CART, locale="xx", shop_locale="de"))["lang"] == "de"
    assert said(replace(CART, lines=(LINE, LINE)))["body"] == "Rote Schuhe und mehr: 2 Artikel liegen noch darin."


def test_only_with_consent_to_tracking_its_links_are_counted():
    rendered = render_push(SHIPPED, "glance", CART, Tracking(lambda no: f"https://t.shop.example/c/{no}"))
    assert rendered.parts["url"] == "https://t.shop.example/c/0"
    assert [(link.no, link.kind) for link in rendered.links] == [(0, "cart")]
    assert render_push(SHIPPED, "glance", CART, None).links == ()


def test_shop_may_have_words_of_its_own_for_one_step(tmp_path):
    (tmp_path / "words.de.yaml").write_text('pushes: {glance-title: "Nur kurz, {shop}"}', encoding="utf-8")
    assert said(spoken=languages(tmp_path))["title"] == "Nur kurz, Laden"
    assert said(spoken=languages(tmp_path), template="other")["title"] == "Ihr Warenkorb bei Laden"
    (tmp_path / "words.de.yaml").write_text("pushes: {glance-title: '{nonsense}'}", encoding="utf-8")
    assert said(spoken=languages(tmp_path))["title"] == "Nur kurz, Laden", "a mistake never replaces what was good"


@pytest.mark.parametrize("letter", ["a", "ü", "漢", "👩‍👩‍👧‍👦", "é", "🇩🇪"])
def test_name_of_any_length_and_script_fits_and_no_letter_falls_apart(letter):
    name = letter * 4000
    context = replace(CART, lines=(replace(LINE, name=name),), shop=replace(CART.shop, name=name))
    raw = payload(render_push(SHIPPED, "glance", context, None).parts, "t" * 24)
    assert len(raw) <= MOST
    for part in ("title", "body"):
        text = json.loads(raw)[part]
        assert set(regex.findall(r"\X", text)) <= {letter, "…", *regex.findall(r"\X", said()["title"] + said()["body"])}


def test_first_the_picture_goes_then_the_body_is_shortened():
    parts = {**render_push(SHIPPED, "glance", CART, None).parts, "body": "x" * 170}
    whole = len(payload(parts, "t" * 24))
    less = json.loads(payload(parts, "t" * 24, whole - 1))
    assert "image" not in less
    assert less["body"] == "x" * 170
    shorter = json.loads(payload(parts, "t" * 24, whole - 60))
    assert shorter["body"] == "x" * 47 + "…"


def test_what_does_not_fit_at_all_is_no_push():
    with pytest.raises(MailError, match="does not fit"):
        said(replace(CART, cart_url="https://shop.example/" + "x" * 1900))


def test_text_is_cut_between_graphemes():
    assert cut("👩‍👩‍👧‍👦" * 3, 2) == "👩‍👩‍👧‍👦…"
    assert cut("abc", 3) == "abc"
