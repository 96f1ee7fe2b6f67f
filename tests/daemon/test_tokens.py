"""Tokens: what was signed is read, and nothing else is, whatever it is."""

from __future__ import annotations

import base64
import hmac
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from daemon import tokens
from daemon.tokens import LENGTH, PURPOSES, TAG, Secrets, Short, Token

OLD, NEW = b"o" * 64, b"n" * 64
SECRETS = Secrets(1, {1: OLD})
TOKEN = Token("click", 3, 812, 5)
some_tokens = st.builds(
    Token,
    purpose=st.sampled_from(list(PURPOSES.values())),
    shop_id=st.integers(0, 2**32 - 1),
    message_id=st.integers(0, 2**48 - 1),
    link_no=st.integers(0, 2**16 - 1),
    rehearsal=st.booleans(),
)


@given(some_tokens)
def test_what_was_signed_is_read(token):
    made = tokens.make(SECRETS, token)
    assert len(made) == LENGTH
    assert set(made) <= set(string.ascii_letters + string.digits + "-_")
    assert tokens.read(SECRETS, made) == token


@given(some_tokens)
def test_an_envelope_sender_may_change_its_case(token):
    made = tokens.make_local_part(SECRETS, token)
    assert (len(made), made) == (48, made.lower())
    assert tokens.read_local_part(SECRETS, made.upper()) == token


def test_how_long_a_refusal_takes_does_not_tell_how_much_of_a_guess_was_right(monkeypatch):
    """Each guess is compared once with a whole signature of ours, by what takes as long for the last byte as for the
    first."""
    compared, compare = [], hmac.compare_digest
    monkeypatch.setattr(hmac, "compare_digest", lambda *both: compared.append(both) or compare(*both))
    raw = base64.urlsafe_b64decode(tokens.make(SECRETS, TOKEN))
    guesses = [raw[: -TAG + right] + bytes(TAG - right) for right in range(TAG)]
    assert {tokens.read(SECRETS, base64.urlsafe_b64encode(guess).decode()) for guess in guesses} == {None}
    assert compared == [(raw[-TAG:], guess[-TAG:]) for guess in guesses]


def test_one_flipped_bit_is_not_believed():
    raw = base64.urlsafe_b64decode(tokens.make(SECRETS, TOKEN))
    for bit in range(8 * len(raw)):
        changed = bytearray(raw)
        changed[bit // 8] ^= 1 << bit % 8
        assert tokens.read(SECRETS, base64.urlsafe_b64encode(bytes(changed)).decode()) is None


@given(st.text(max_size=80) | st.text("AZaz09-_", min_size=40, max_size=40))
def test_whatever_else_is_nothing(text):
    assert tokens.read(SECRETS, text) is None
    assert tokens.read_local_part(SECRETS, text) is None


@pytest.mark.parametrize("end", ["", "=", "\n", " ", "A"])
def test_a_token_has_one_spelling(end):
    made = tokens.make(SECRETS, TOKEN)
    assert tokens.read(SECRETS, made[:-1] + end) is None or made[-1] == end
    assert tokens.read(SECRETS, made + end) is None or not end
    assert tokens.read(SECRETS, made.replace("-", "+").replace("_", "/")) in (None, TOKEN)


def test_links_of_the_old_key_are_still_believed_while_the_new_one_signs():
    old = tokens.make(SECRETS, TOKEN)
    both = Secrets(2, {2: NEW, 1: OLD})
    new = tokens.make(both, TOKEN)
    assert new != old
    assert tokens.read(both, old) == tokens.read(both, new) == TOKEN
    assert tokens.read(SECRETS, new) is None
    assert tokens.read(Secrets(2, {2: NEW}), old) is None


def test_the_key_is_not_chosen_by_who_forges():
    """The number of a known key before a signature of another one."""
    raw = bytearray(base64.urlsafe_b64decode(tokens.make(Secrets(2, {2: NEW}), TOKEN)))
    raw[0] = 1
    assert tokens.read(Secrets(2, {2: NEW, 1: OLD}), base64.urlsafe_b64encode(bytes(raw)).decode()) is None


def test_keys_are_not_shown():
    assert "ooo" not in repr(SECRETS)


some_shorts = st.builds(
    Short,
    purpose=st.sampled_from(["click", "unsubscribe"]),
    shop_id=st.integers(0, 2**31 - 1),
    message_id=st.integers(0, 2**48 - 1),
    rehearsal=st.booleans(),
    silent=st.booleans(),
)


@given(some_shorts)
def test_short_link_says_what_was_signed(short):
    made = tokens.make_short(SECRETS, short)
    assert made.isalnum()
    assert len(made) <= tokens.LONGEST_SHORT
    assert tokens.read_short(SECRETS, made) == short


@pytest.mark.parametrize(("shop", "message", "most"), [(1, 100, 18), (1, 2_000_000, 19), (300, 2_000_000_000, 22)])
def test_short_link_is_short(shop, message, most):
    assert len(tokens.make_short(SECRETS, Short("click", shop, message))) <= most


def test_changed_letter_of_a_short_link_is_not_believed():
    made = tokens.make_short(SECRETS, Short("click", 3, 812))
    for at in range(len(made)):
        for letter in tokens.LETTERS:
            changed = made[:at] + letter + made[at + 1 :]
            assert tokens.read_short(SECRETS, changed) is None or changed == made


@given(st.text(max_size=40) | st.text("AZaz09", min_size=10, max_size=32))
def test_whatever_else_is_no_short_link(text):
    assert tokens.read_short(SECRETS, text) is None


def test_short_link_of_an_old_key_is_still_believed_and_one_of_a_lost_key_is_not():
    made = tokens.make_short(SECRETS, Short("click", 3, 812))
    assert tokens.read_short(Secrets(2, {1: OLD, 2: NEW}), made) is not None
    assert tokens.read_short(Secrets(2, {2: NEW}), made) is None
    assert tokens.read_short(Secrets(1, {1: NEW}), made) is None


def test_long_link_is_no_short_one():
    assert tokens.read_short(SECRETS, tokens.make(SECRETS, TOKEN)) is None
    assert tokens.read(SECRETS, tokens.make_short(SECRETS, Short("click", 3, 812))) is None
