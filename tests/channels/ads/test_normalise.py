"""Each platform compares people in its own way; what is hashed is what the platform would have hashed itself."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from channels.ads import google, meta
from channels.ads.base import Reach, sha256
from channels.ads.files import FORMS

ADDRESSES = st.builds(
    lambda local, host: f"{local}@{host}",
    st.text("abcXYZ0189.+-_ \t", min_size=1, max_size=20),
    st.sampled_from(["gmail.com", "GMail.com", "googlemail.com", "example.org", "Example.ORG ", "mail.example.de"]),
)


@pytest.mark.parametrize(
    ("normalised", "hashed"),
    [
        ("alexz@example.com", "509e933019bb285a134a9334b8bb679dff79d0ce023d529af4bd744d47b4fd8a"),
        ("+18005550100", "fb4f73a6ec5fdb7077d564cdd22c3554b43ce49168550c3b12c547b78c517b30"),
        ("mary@example.com", "f1904cf1a9d73a55fa5de0ac823c4403ded71afd4c3248d00bdcd0866552bb79"),
        ("15559876543", "1ef970831d7963307784fa8688e8fce101a15685d62aa765fed23f3a2c576a4e"),
    ],
)
def test_hash_is_the_one_that_the_platforms_publish(normalised, hashed):
    assert sha256(normalised) == hashed


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param(" Mary@Example.com ", "mary@example.com", id="blanks and capitals"),
        pytest.param("mary@example.com.", "mary@example.com", id="a dot at the end"),
        pytest.param("..mary@example.com\0", "mary@example.com", id="dots in front and a NUL"),
        pytest.param("m.ary+shop@gmail.com", "m.ary+shop@gmail.com", id="dots before gmail.com stay"),
        pytest.param("mary", "", id="no address"),
        pytest.param("", "", id="nothing"),
    ],
)
def test_address_as_meta_wants_it(written, expected):
    assert meta.email(written) == expected


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        pytest.param("AlexZ@example.com", "alexz@example.com", id="capitals"),
        pytest.param("\talexz@example.com \n", "alexz@example.com", id="blanks around"),
        pytest.param("a.lex.z+shop@GMAIL.com", "alexz+shop@gmail.com", id="dots before gmail.com go, the tag stays"),
        pytest.param("a.lex@googlemail.com", "alex@googlemail.com", id="googlemail.com too"),
        pytest.param("a.lex@example.com", "a.lex@example.com", id="dots before another host stay"),
        pytest.param("alex z@example.com", "", id="a blank inside is refused"),
        pytest.param("alexz", "", id="no address"),
    ],
)
def test_address_as_google_wants_it(written, expected):
    assert google.email(written) == expected


@pytest.mark.parametrize(
    ("e164", "for_meta", "for_google"),
    [
        ("+15559876543", "15559876543", "+15559876543"),
        ("+49 170 1234567", "491701234567", "+491701234567"),
        ("", "", ""),
    ],
)
def test_number_has_a_plus_at_google_and_none_at_meta(e164, for_meta, for_google):
    assert (meta.phone(e164), google.phone(e164)) == (for_meta, for_google)


def test_number_without_its_country_is_no_number_for_google():
    assert google.phone("0170 1234567") == ""


@given(ADDRESSES)
def test_normalising_twice_changes_nothing(written):
    for normal in (meta.email, google.email):
        once = normal(written)
        assert normal(once) == once
        assert once == once.lower()


@given(ADDRESSES)
def test_capitals_and_blanks_around_make_nobody_another_person(written):
    for normal in (meta.email, google.email):
        assert normal(f" {written.upper()}\t") == normal(written)


@given(ADDRESSES, st.sampled_from(["", "+491701234567", "+15559876543"]))
def test_what_a_platform_is_told_is_hashes_only(written, number):
    for form in FORMS.values():
        assert all(re.fullmatch("[0-9a-f]{64}", value) for value in form.keys(Reach(written, number)).values())


def test_platforms_share_no_word_for_a_key():
    meta_words, google_words = (set(form.keys(Reach("a@b.example", "+491701234567"))) for form in FORMS.values())
    assert len(meta_words) == len(google_words) == 2
    assert not meta_words & google_words


def test_same_gmail_person_has_another_hash_at_each_platform():
    reach = Reach("a.da@gmail.com")
    assert set(FORMS["meta"].keys(reach).values()).isdisjoint(FORMS["google"].keys(reach).values())


def test_person_is_not_printed():
    assert "ada" not in repr(Reach("ada@example.org", "+491701234567"))
