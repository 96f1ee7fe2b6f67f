"""What is kept of a mail's texts: exactly what was written, in a small part of the room."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon.mail import load, render
from daemon.mail.packed import PATTERN, packed, unpacked
from daemon.mail.sample import sample

LETTERS = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


@given(LETTERS, LETTERS)
def test_what_comes_out_is_what_went_in(html, text):
    assert unpacked(packed(html, text)) == {"html": html, "text": text}


@pytest.mark.parametrize("name", ["remind", "doubts", "last-call"])
@pytest.mark.parametrize("locale", ["de", "fr"])
def test_a_shipped_mail_takes_a_tenth_of_its_size_at_most(name, locale):
    mail = render(load()[name], sample(locale))
    letter = packed(mail.html, mail.text)
    assert unpacked(letter) == {"html": mail.html, "text": mail.text}
    assert len(letter) * 10 < mail.octets


def test_what_was_kept_can_be_read_for_ever():
    """The pattern is never edited: with another one, all that was packed against it would be lost."""
    assert sha256(PATTERN).hexdigest() == "7899153c30368c11884442b56990860915c7de2fbe65aa153acfe3515767400e"
    assert unpacked(bytes.fromhex("0100000013b329b083262160032b25d1461f95cf0500")) == {
        "html": "<p>Grüße, Ada</p>",
        "text": "Grüße, Ada\n",
    }


@pytest.mark.parametrize(
    "letter", [b"", b"\x01", b"\x02\x00\x00\x00\x00\x03\x00", b"\x01\x00\x00\x00\x00\xff\xff", b"\x01\x00\x00\x00\x01K"]
)
def test_anything_else_is_refused(letter):
    with pytest.raises(ValueError, match="not a packed mail"):
        unpacked(letter)


def test_half_of_a_letter_cannot_be_kept():
    with pytest.raises(UnicodeError):
        packed("\ud800", "")
