"""A policy that was stored is read again, also by a version that has forgotten some of its words."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from rules.policy import Policy
from rules.reader import read_policy

STORED = read_policy("extends: default\nquiet: 21:00-08:00\n", "main.yaml", "main").policy
assert STORED is not None


def test_what_was_stored_comes_back_whole() -> None:
    for stored in (STORED.to_json(), json.loads(STORED.to_json())):
        read = Policy.from_json(stored)
        assert (read, read.hash) == (STORED, STORED.hash)


def test_words_that_are_no_longer_known_are_left_out() -> None:
    body = json.loads(STORED.to_json())
    body["moods"] = ["merry"]
    body["starts"]["weather"] = {"is": "fine"}
    body["steps"][1]["colour"] = "red"
    assert Policy.from_json(body) == STORED
    assert Policy.from_json(json.dumps(body)) == STORED


def test_what_is_wrong_otherwise_is_said() -> None:
    body = json.loads(STORED.to_json())
    body["steps"] = []
    with pytest.raises(ValidationError, match="steps"):
        Policy.from_json(body)
