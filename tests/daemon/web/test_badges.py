"""A badge that the shop's server made is believed; one that a browser could have made is not."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import re
import shutil
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from daemon.tokens import Secrets, Token, make
from daemon.web.badges import (
    A_NOTICE,
    Badge,
    Landing,
    NoBadge,
    landing_token,
    new_visitor,
    read_badge,
    read_landing,
    read_visitor,
)

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
KEY, OLD = "k" * 40, "o" * 40
OURS = Secrets(1, {1: b"s" * 32, 2: b"t" * 32})
RECIPES = Path(__file__).parents[3] / "docs" / "onsite.md"


def signed(claims: object, key: str = KEY) -> str:
    body = base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip("=")
    tag = hmac.new(key.encode(), body.encode(), hashlib.sha256).digest()
    return f"{body}.{base64.urlsafe_b64encode(tag).decode().rstrip('=')}"


def claims(**more: object) -> dict[str, object]:
    return {"shop": "main", "customer": "7", "exp": int(NOW.timestamp()) + 3600, **more}


def test_what_the_shop_says_is_read():
    told = claims(email="ada@example.org", cart="c1", order="4711", total="49.90", currency="EUR")
    assert read_badge([OLD, KEY], "main", signed(told), NOW) == Badge(
        "7", "ada@example.org", "c1", "4711", Decimal("49.90"), "EUR"
    )


def test_a_number_is_a_name_too_and_null_is_none():
    assert read_badge([KEY], "main", signed(claims(customer=7, email=None)), NOW) == Badge("7")


@pytest.mark.parametrize(
    ("text", "because"),
    [
        pytest.param(signed(claims(), OLD), "signature", id="signed by somebody else"),
        pytest.param(signed(claims(exp=int(NOW.timestamp()))), "is over", id="expired"),
        pytest.param(signed(claims(exp=int(NOW.timestamp()) + 90_000)), "longer than a day", id="good for too long"),
        pytest.param(signed(claims(exp="tomorrow")), "exp must say", id="without an end"),
        pytest.param(signed(claims(exp=True)), "exp must say", id="an end that is none"),
        pytest.param(signed(claims(shop="other")), "another shop", id="made for another shop"),
        pytest.param(signed([1]), "another shop", id="no claims"),
        pytest.param(signed(claims(customer="7\n8")), "cannot be one", id="a name of two lines"),
        pytest.param(signed(claims(customer="7" * 201)), "cannot be one", id="a name without end"),
        pytest.param(signed(claims(total="1e9")), "no sum", id="a sum that is none"),
        pytest.param(signed(claims(currency="euro")), "no currency", id="a currency that is none"),
        pytest.param(signed(claims()).replace(".", ""), "form", id="without its signature"),
        pytest.param(signed(claims()) + "AAAA", "signature", id="changed at its end"),
        pytest.param("ä.b", "form", id="not ASCII"),
        pytest.param("a" * 5000 + ".b", "form", id="longer than one can be"),
        pytest.param("", "form", id="nothing"),
    ],
)
def test_what_the_shop_did_not_say_is_not(text: str, because: str):
    with pytest.raises(NoBadge, match=because):
        read_badge([KEY], "main", text, NOW)


def test_claims_of_another_badge_do_not_fit_its_signature():
    mine, hers = signed(claims(customer="8")), signed(claims(customer="7"))
    with pytest.raises(NoBadge, match="signature"):
        read_badge([KEY], "main", hers.split(".")[0] + "." + mine.split(".")[1], NOW)


def test_a_visitor_is_whom_we_named_in_this_shop():
    name, token = new_visitor(OURS, 1)
    assert read_visitor(OURS, 1, token) == name
    assert read_visitor(OURS, 2, token) == ""
    assert read_visitor(Secrets(1, {1: b"x" * 32}), 1, token) == ""
    assert new_visitor(OURS, 1)[0] != name
    for other in ("", "x", token[:-1], token + "A", "A" * len(token), "ü" * 48, make(OURS, Token("click", 1, 1))):
        assert read_visitor(OURS, 1, other) == ""


def test_an_older_key_still_names():
    name, token = new_visitor(Secrets(2, OURS.keys), 1)
    assert read_visitor(OURS, 1, token) == name


def test_a_landing_is_no_notice():
    landing = Landing(1, 2**40, 3, 1_700_000_000_000)
    assert read_landing(OURS, landing_token(OURS, landing)) == landing
    assert read_landing(OURS, landing_token(OURS, landing), kind=A_NOTICE) is None
    assert read_landing(OURS, landing_token(Secrets(1, {1: b"x" * 32}), landing)) is None


def recipe(language: str) -> str:
    found = re.search(rf"```{language}\n(.*?)```", RECIPES.read_text(), re.S)
    assert found is not None
    return found[1]


def test_the_recipe_for_python_makes_one():
    text = recipe("python").replace('os.environ["MAIN_SITE_KEY"]', repr(KEY))
    done = subprocess.run(
        [sys.executable, "-c", f"customer_id, cart_id = 7, 'c1'\n{text}\nprint(badge)"],
        capture_output=True, text=True, check=True,
    )  # fmt: skip
    now = datetime.fromtimestamp(0, UTC) + timedelta(seconds=int(_exp(done.stdout)) - 3600)
    assert read_badge([KEY], "main", done.stdout.strip(), now) == Badge("7", cart="c1")


def test_the_recipe_for_php_makes_one():
    if shutil.which("php") is None:
        pytest.skip("php is not installed")
    text = recipe("php").replace("<?php", "").replace('getenv("MAIN_SITE_KEY")', repr(KEY))
    done = subprocess.run(
        ["php", "-r", f"$customerId = 7; $cartId = 'c1';{text} echo $badge;"],
        capture_output=True,
        text=True,
        check=True,
    )
    now = datetime.fromtimestamp(0, UTC) + timedelta(seconds=int(_exp(done.stdout)) - 3600)
    assert read_badge([KEY], "main", done.stdout.strip(), now) == Badge("7", cart="c1")


def _exp(badge: str) -> int:
    body = badge.partition(".")[0]
    return int(json.loads(base64.urlsafe_b64decode(body + "=" * (-len(body) % 4)))["exp"])
