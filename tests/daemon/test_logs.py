"""Logs: sentences with fields, and no address or token in any of them, whoever wrote the line."""

from __future__ import annotations

import pytest

from daemon import logs, tokens
from daemon.tokens import Secrets, Short, Token
from daemon.web import badges
from daemon.web.badges import Landing

SECRETS = Secrets(1, {1: b"k" * 32})
TOKEN = tokens.make(SECRETS, Token("click", 1, 2, 3))
BOUNCE = tokens.make_local_part(SECRETS, Token("bounce", 1, 2))
SHORT = tokens.make_short(SECRETS, Short("click", 1, 812))
VISITOR = badges.new_visitor(SECRETS, 1)[1]
LANDING = badges.landing_token(SECRETS, Landing(1, 812, 0, 1_700_000_000_000))


@pytest.mark.parametrize(
    "text",
    [
        "550 5.1.1 <canary@leak.test>: no such user",
        "to=canary@leak.test, relay=x",
        "mailto:canary+7f3a@leak.test?x",
        "Key (value)=(canary@leak.test) already exists.",
        "{'email': 'canary@leak.test'}",
        'the answer "canary@leak.test" came',
        "cänary@leak.test",
        "CANARY@LEAK.TEST",
        "canary%40leak.test",
        '"canary odd"@leak.test',
        "canary@[192.0.2.1] leak",
    ],
)
def test_no_address(text):
    cleaned = logs.clean(text).lower()
    assert "[address]" in cleaned
    assert "leak.test" not in cleaned
    assert "nary@" not in cleaned


@pytest.mark.parametrize(
    "text",
    ["+4915112345678", "call +49 151 123456-78 today", "tel=+49(0)15112345678", "004915112345678", "'+15551234567'"],
)
def test_no_number(text):
    cleaned = logs.clean(text)
    assert "[number]" in cleaned
    assert not any(part in cleaned for part in ("1234", "5678", "151"))


@pytest.mark.parametrize(
    "text",
    [
        f"GET /c/{TOKEN} HTTP/1.1", f"/o/{TOKEN}.gif", f"https://t.example/u/{TOKEN}?x=1", f"token={TOKEN}",
        f"bounce to b+{BOUNCE}@bounce.example", f"b+{BOUNCE}", BOUNCE, f"GET /s/{SHORT} HTTP/1.1",
        f"https://t.example/s/{SHORT}", f"visitor={VISITOR}", f"?tb={LANDING}&x=1",
    ],
    ids=range(11),
)  # fmt: skip
def test_no_token(text):
    cleaned = logs.clean(text)
    assert not any(token in cleaned for token in (TOKEN, BOUNCE, SHORT, VISITOR, LANDING))


def test_what_is_inside_of_fields_is_cleaned_too():
    event = {
        "event": "x",
        "rows": ["a@leak.test", {"b": ("c@leak.test", b"d@leak.test")}],
        "error": ValueError("e@leak.test"),
    }
    cleaned = logs.redact(None, "info", event)
    assert "leak.test" not in repr(cleaned)


@pytest.mark.parametrize(
    "text",
    [
        "sent 3 of 4 at 10:00",
        "rules/main.yaml:17:7 steps[1].afer",
        "",
        "2 @ 3",
        "postgresql://host:5432/db",
        "2026-03-01T10:00:00+00:00",
        "orders 1000001 to 1000500",
        "+300 s",
        "1e+10",
        "0.00123456789",
        "a7-00123456789",
    ],
)
def test_other_words_stay(text):
    assert logs.clean(text) == text
