"""Caps over sliding spans, and the least gap on one channel."""

from datetime import UTC, datetime, timedelta

import pytest

from rules import caps
from rules.facts import Counted
from rules.later import CHANNELS, LATER_CHANNELS
from rules.policy import CapWords, Policy
from rules.reader import read_policy
from rules.values import Cap

NOW = datetime(2026, 5, 4, 12, tzinfo=UTC)


def ago(*sent):
    """`email 3` is an e-mail three hours ago."""
    return tuple(Counted(one.split()[0], NOW - timedelta(hours=float(one.split()[1]))) for one in sent)


@pytest.mark.parametrize(
    ("words", "counted", "expected"),
    [
        pytest.param({}, ago("email 0"), None, id="no caps"),
        pytest.param({"any": "2 per 24h"}, ago("email 1"), None, id="one of two"),
        pytest.param(
            {"any": "2 per 24h"}, ago("email 1", "sms 5"), 19, id="two of two: free when the older is a day old"
        ),
        pytest.param({"any": "2 per 24h"}, ago("email 1", "sms 24"), None, id="exactly a day old no longer counts"),
        pytest.param({"any": "2 per 24h"}, ago("email 1", "email 2", "email 3"), 22, id="three, one too many"),
        pytest.param({"email": "1 per 24h"}, ago("sms 1"), None, id="a cap on mails does not count texts"),
        pytest.param({"any": ["1 per 2h", "3 per 7d"]}, ago("sms 1"), 1, id="both of two caps hold"),
        pytest.param({"any": ["1 per 2h", "3 per 7d"]}, ago("sms 1", "sms 3", "sms 4"), 164, id="the later one counts"),
        pytest.param({"same_channel_gap": "12h"}, ago("email 4"), 8, id="too close to the last mail"),
        pytest.param({"same_channel_gap": "12h"}, ago("sms 4"), None, id="a text is no mail"),
        pytest.param({"same_channel_gap": "12h"}, ago("email 12"), None, id="the gap is kept"),
    ],
)
def test_frees_at(words, counted, expected):
    met = caps.frees_at(CapWords.model_validate(words), "email", counted, NOW)
    assert (met and (met[0] - NOW) / timedelta(hours=1)) == expected


def test_the_sentence_names_the_cap():
    met = caps.frees_at(CapWords.model_validate({"any": "1 per 7d"}), "email", ago("sms 1"), NOW)
    assert met[1] == "the cap of 1 in 7 days is reached"


@pytest.mark.parametrize(
    ("counted", "expected"),
    [
        pytest.param((), None, id="nothing yet this week"),
        pytest.param(ago("sms 100"), 68, id="one of any channel is enough for a week"),
        pytest.param(ago("email 168"), None, id="a week later the next"),
    ],
)
def test_who_asked_for_fewer_gets_one_in_a_week(counted, expected):
    met = caps.frees_at(CapWords(), "email", counted, NOW, fewer=True)
    assert (met and (met[0] - NOW) / timedelta(hours=1)) == expected
    assert met is None or met[1] == "the person asked for fewer messages, so at most 1 in 7 days"


def policy(words):
    return Policy.model_validate({"name": "p", "caps": words, "steps": [{"name": "a", "send": "email", "after": "1h"}]})


def test_how_far_back_a_policy_looks():
    words = {"any": ["1 per 2h", "9 per 30d"], "email": "1 per 24h", "same_channel_gap": "12h"}
    assert caps.reach(policy(words)) == timedelta(days=30)
    assert caps.reach(policy({})) == timedelta(days=7), "for those who asked for fewer"
    assert caps.reach(policy({"same_channel_gap": "8d"})) == timedelta(days=8)


@pytest.mark.parametrize("channel", [*CHANNELS, *LATER_CHANNELS])
def test_every_channel_has_a_cap_of_its_own(channel):
    """One that is for later is opened with its cap word in place."""
    words = CapWords.model_construct(**{channel: (Cap(1, timedelta(days=40)),)})
    counted = (Counted(channel, NOW - timedelta(days=30)),)
    met = caps.frees_at(words, channel, counted, NOW)
    assert met == (NOW + timedelta(days=10), f"the cap of 1 on {channel} in 40 days is reached")
    other = "email" if channel != "email" else "sms"
    assert caps.frees_at(words, channel, (Counted(other, NOW),), NOW) is None
    assert caps.reach(policy({}).altered(caps=words)) == timedelta(days=40)


@pytest.mark.parametrize("channel", [*LATER_CHANNELS, "fax"])
def test_a_cap_on_a_channel_for_later_is_refused_and_shown_to_nobody(channel):
    reading = read_policy(f"extends: default\ncaps: {{{channel}: 1 per 7d}}\n", "main.yaml", "main")
    [mistake] = reading.mistakes
    if channel in LATER_CHANNELS:
        assert f'"{channel}" is for later: this version of tillbell cannot' in mistake.text
    assert channel not in CapWords.model_json_schema()["properties"]
    stored = {**policy({}).model_dump(mode="json"), "caps": {channel: ["1 per 7d"], "email": ["2 per 7d"]}}
    assert Policy.from_json(stored).caps == CapWords(email=(Cap(2, timedelta(days=7)),)), "what it cannot do it leaves"
