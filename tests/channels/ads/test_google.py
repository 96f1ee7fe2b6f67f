"""Tokens, requests that are worked off later, and the errors of Google."""

import json
from datetime import timedelta

import pytest

from channels.ads.base import Part, Reach
from channels.ads.google import Config, Google, refusal
from channels.ads.wire import Answer
from channels.base import Misconfigured, Retry
from daemon.demo.google import PretendGoogle

from .conftest import NOW, first_error


def group(client, number=100):
    return [client.normalise(Reach(f"p{one}@example.org", "+491701234567")) for one in range(number)]


async def test_request_is_asked_about_later(stage):
    scene = await stage("google")
    taken = await scene.client.add(group(scene.client), Part(1))
    assert await scene.client.look_up(taken.request) == ("done", "")


async def test_request_that_is_under_way_is_asked_about_again(stage):
    scene = await stage("google")
    scene.platform.faults.append("slow")
    taken = await scene.client.add(group(scene.client), Part(1))
    assert [(await scene.client.look_up(taken.request))[0] for _ in range(3)] == ["under_way", "under_way", "done"]


@pytest.mark.parametrize("fault", ["half", "failed"])
async def test_request_that_failed_says_why(stage, fault):
    scene = await stage("google")
    scene.platform.faults.append(fault)
    taken = await scene.client.add(group(scene.client), Part(1))
    fate, why = await scene.client.look_up(taken.request)
    assert fate == "failed"
    assert "1 for internal error" in why


async def test_token_is_had_once_and_again_before_it_ends(stage):
    scene = await stage("google")
    for _ in range(3):
        await scene.client.add(group(scene.client), Part(1))
    assert len(scene.platform.tokens) == 1
    scene.client.now = lambda: NOW + timedelta(minutes=56)
    await scene.client.add(group(scene.client), Part(1))
    assert len(scene.platform.tokens) == 2


async def test_token_that_was_taken_back_is_replaced_once(stage):
    scene = await stage("google")
    await scene.client.add(group(scene.client), Part(1))
    scene.platform.tokens.clear()
    await scene.client.remove(group(scene.client), Part(2))
    assert scene.inside() == 0


async def test_another_account_s_key_gets_no_token(stage):
    scene = await stage("google")
    other = PretendGoogle(owner="somebody@pretend.iam.example")
    key = json.loads(other.key("x")) | {"token_uri": json.loads(scene.client.config.key)["token_uri"]}
    scene.client.config = Config("1234567890", "77", json.dumps(key), api=scene.client.config.api)
    assert isinstance(await first_error(scene.client.add(group(scene.client), Part(1))), Misconfigured)
    assert scene.inside() == 0


@pytest.mark.parametrize("key", ["", "{}", "no json", '{"client_email": "a", "private_key": "b"}', "[]"])
async def test_key_that_is_none_is_said_to_be_none(key):
    client = Google(Config("1", "2", key), lambda: NOW)
    error = await first_error(client.add(group(client), Part(1)))
    assert isinstance(error, Misconfigured)
    assert "service account" in str(error)


@pytest.mark.parametrize(
    ("status", "word", "kind"),
    [
        (429, "RESOURCE_EXHAUSTED", Retry),
        (403, "PERMISSION_DENIED", Misconfigured),
        (400, "INVALID_ARGUMENT", Misconfigured),
        (404, "canary@example.org", Misconfigured),
    ],
)
def test_error_of_google(status, word, kind):
    error = refusal(Answer(status, {"error": {"status": word, "message": "canary"}}))
    assert isinstance(error, kind)
    assert "canary" not in str(error)
