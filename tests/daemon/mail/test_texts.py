"""What a text says, how long it is, and that it never grows over what is paid for."""

import unicodedata
from dataclasses import replace
from decimal import Decimal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from channels.segments import measured
from daemon.mail.errors import MailError, TemplateError
from daemon.mail.texts import TextContext, load_voices, render_text, too_long

VOICES = load_voices()
LINK = "https://t.shop.example/s/7WcQf2mX1bTnLkq9aZ"
CART = TextContext(
    "Laden", LINK, "", "Ada", "Wanderschuh Alpin 3000", 2, Decimal("149.90"), "EUR", "de-DE", "de-DE", "Europe/Berlin"
)


def said(own=None, most=3, step="nudge", voices=VOICES, **changes):
    return render_text(voices, step, own or {}, replace(CART, **changes), most)


@pytest.mark.parametrize("language", ["de", "en", "fr", "es", "it"])
@pytest.mark.parametrize("way_out", ["", LINK])
def test_shipped_texts_take_one_part_with_an_answer_and_two_at_most_with_a_link(language, way_out):
    text = said(locale=language, way_out=way_out, shop="Schuhhaus Meier")
    assert text.language == language
    assert LINK in text.body
    assert text.length.encoding == "GSM-7", text.body
    assert text.length.segments <= (2 if way_out else 1), text.body


def test_text_says_it_in_the_person_s_language_else_in_the_shop_s_else_in_english():
    assert "warten noch" in said(locale="de-AT").body
    assert "waiting" in said(locale="pl", shop_locale="pt-BR").body
    assert "warten noch" in said(locale="xx").body


def test_one_item_is_one_item():
    assert "Ein Artikel wartet" in said(count=1).body


def test_the_step_s_own_words_count_before_those_of_the_files():
    text = said({"de": "{name}, {first_line} für {total}: {link} {stop}", "": "{link} {stop}"})
    assert text.body == f"Ada, Wanderschuh Alpin 3000 für 149,90 €: {LINK} Abmelden: STOPP"
    assert said({"": "{link} {stop}"}, locale="en").body == f"{LINK} Reply STOP to opt out"


def test_operator_s_words_stand_in_for_the_shipped_ones(tmp_path):
    (tmp_path / "words.de.yaml").write_text('texts:\n  nudge: "{shop} wartet: {link} {stop}"\n')
    voices = load_voices(tmp_path)
    assert said(voices=voices).body.startswith("Laden wartet:")
    assert "warten noch" in said(voices=voices, step="other").body


@pytest.mark.parametrize("place", ["{unsubscribe}", "{link.url}", "{0}", "{link!r}"])
def test_places_that_mean_nothing_are_refused(tmp_path, place):
    (tmp_path / "words.de.yaml").write_text(f'texts:\n  nudge: "{place}"\n')
    with pytest.raises(TemplateError, match="means nothing here"):
        load_voices(tmp_path)


def test_mails_do_not_know_the_places_of_texts(tmp_path):
    (tmp_path / "words.de.yaml").write_text('remind:\n  subject: "{link}"\n')
    with pytest.raises(TemplateError, match="means nothing here"):
        load_voices(tmp_path)


def test_long_names_are_shortened_before_a_part_more_is_paid_for():
    own = {"": "{shop}: {first_line} wartet. {link} {stop}"}
    long = "Wanderschuh " * 20
    text = said(own, most=1, first_line=long)
    assert text.length.segments == 1
    assert "..." in text.body
    assert text.body.endswith("Abmelden: STOPP")


def test_name_in_strange_letters_is_left_out_rather_than_paid_for_twice():
    own = {"": "{shop}: {first_line} wartet auf Sie, gleich hier geht es weiter: {link} {stop}"}
    text = said(own, most=1, first_line="Туфли")
    assert (text.length.encoding, text.length.segments) == ("GSM-7", 1)


def test_text_that_cannot_fit_is_not_sent_and_check_says_so_before():
    own = {"": "x" * 200 + " {link} {stop}"}
    with pytest.raises(MailError, match="takes 2 parts"):
        said(own, most=1)
    assert too_long(VOICES, "nudge", own, CART, 1).startswith("de-DE: the text takes 2 parts")
    assert too_long(VOICES, "nudge", own, CART, 2) == ""
    assert too_long(VOICES, "nudge", {}, CART, 1) == ""


def test_rehearsal_says_that_it_is_one():
    assert said(rehearsal=True).body.startswith("[Probe] ")


hostile = st.text(max_size=120) | st.sampled_from(
    [
        "{{7*7}}",
        "{link}",
        "%s",
        "=HYPERLINK(1)",
        "a\r\nb",
        "\u202egnp.exe",
        "😀" * 80,
        "x" * 65536,
        "\x00",
        "👨‍👩‍👧" * 40,
    ]
)


@settings(max_examples=500, deadline=None)
@given(hostile, hostile, st.sampled_from(["de", "en", "ja"]), st.integers(1, 3))
def test_whatever_the_names_are_the_text_fits_and_keeps_its_link(name, line, locale, most):
    own = {"": "{shop}: {name}, {first_line} wartet: {link} {stop}"}
    text = said(own, most=most, name=name, first_line=line, locale=locale, shop="L", way_out="")
    assert measured(text.body).segments <= most
    assert text.body.count(LINK) == 1
    assert not {unicodedata.category(sign) for sign in text.body} & {"Cc", "Cs"}
