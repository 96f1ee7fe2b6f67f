"""Sessions, flags and the errors of Meta."""

import json
from datetime import timedelta

import pytest

from channels.ads.base import Part, Reach
from channels.ads.meta import Config, Meta, payload, refusal, session
from channels.ads.wire import Answer
from channels.base import Misconfigured, Retry, Unclear

from .conftest import first_error


def test_payload_has_a_place_for_each_key():
    client = Meta(Config("1", "t"))
    told = json.loads(
        payload([client.normalise(Reach("a@b.example", "+491701234567")), client.normalise(Reach("c@d.example"))])
    )
    assert told["schema"] == ["EMAIL", "PHONE"]
    assert [[bool(value) for value in row] for row in told["data"]] == [[True, True], [True, False]]


def test_limited_data_use_is_said_for_each_person():
    told = json.loads(payload([{"EMAIL": "0" * 64}], limited=True))
    assert told["schema"][-1] == "DATA_PROCESSING_OPTIONS"
    assert told["data"][0][-1] == ["LDU"]


def test_session_counts_its_parts():
    assert json.loads(session(Part(9, 2, last=False, total=20_000, before=10_000))) == {
        "session_id": 9,
        "batch_seq": 2,
        "last_batch_flag": False,
        "estimated_num_total": 20_000,
    }


async def test_session_of_several_parts_is_taken_whole(stage):
    scene = await stage("meta")
    groups = [[scene.client.normalise(Reach(f"p{no}-{one}@example.org")) for one in range(100)] for no in range(3)]
    for no, group in enumerate(groups):
        await scene.client.add(group, Part(5, no + 1, no == 2, 300, 100 * no))
    assert scene.inside() == 300
    assert scene.platform.complaints == []


async def test_session_that_goes_on_after_its_end_is_refused(stage):
    scene = await stage("meta")
    group = [scene.client.normalise(Reach(f"p{one}@example.org")) for one in range(100)]
    await scene.client.add(group, Part(5, 1, True, 100))
    assert isinstance(await first_error(scene.client.add(group, Part(5, 2, True, 100, 100))), Misconfigured)


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (400, {"code": 17, "error_subcode": 2446079}, Retry),
        (400, {"code": 613, "error_subcode": 1487742}, Retry),
        (400, {"code": 80003}, Retry),
        (400, {"code": 1, "error_subcode": 99}, Unclear),
        (400, {"code": 100, "is_transient": True}, Unclear),
        (400, {"code": 100, "error_subcode": 1713230}, Misconfigured),
        (400, {"code": 200, "error_subcode": 1870090}, Misconfigured),
        (400, {"code": 100, "error_subcode": 33}, Misconfigured),
        (401, {"code": 190}, Misconfigured),
        (403, {}, Misconfigured),
        (404, {"code": "no number"}, Misconfigured),
        (400, "no object", Misconfigured),
    ],
)
def test_error_of_meta(status, error, kind):
    assert isinstance(refusal(Answer(status, {"error": error})), kind)


def test_its_own_sentence_is_left_out():
    body = {"error": {"code": 100, "message": "canary@example.org is not a hash", "error_user_msg": "canary"}}
    assert "canary" not in str(refusal(Answer(400, body)))


def test_rest_that_is_asked_for_is_kept():
    error = refusal(Answer(429, {}, timedelta(seconds=7)))
    assert isinstance(error, Retry)
    assert error.after == timedelta(seconds=7)
