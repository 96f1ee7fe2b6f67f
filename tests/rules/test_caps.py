"""Caps over sliding spans, and the least gap on one channel."""

from datetime import UTC, datetime, timedelta

import pytest

from rules import caps
from rules.facts import Counted
from rules.policy import CapWords, Policy

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


def test_how_far_back_a_policy_looks():
    words = {"any": ["1 per 2h", "9 per 30d"], "email": "1 per 24h", "same_channel_gap": "12h"}
    policy = Policy.model_validate(
        {"name": "p", "caps": words, "steps": [{"name": "a", "send": "email", "after": "1h"}]}
    )
    assert caps.reach(policy) == timedelta(days=30)
