"""Ad audiences in shops.yaml, the steps that name them, and who stays out to compare with."""

import json
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rules.audiences import stays_out
from rules.policy import Policy
from rules.reader import read_policy
from rules.shops import shops_from
from rules.source import read

HEAD = "shops:\n  main:\n    connector: feed\n    url: https://shop.example\n    audiences:\n"
KEY = json.dumps({"client_email": "a@b.example", "private_key": "pem"})
STEP = "extends: default\nsteps: [{name: retarget, send: audience, after: 80h, %s}]\n"


def reading(words):
    return shops_from(read(f"{HEAD}      shoes: {{{words}}}\n", "shops.yaml"))


def mistake(words):
    [found] = reading(words).mistakes
    return str(found)


@pytest.mark.parametrize(
    "words",
    [
        "platform: meta, id: '12345', token: secret",
        f"platform: google, account: 123-456-7890, id: '1', terms_accepted: true, key: '{KEY}'",
        "platform: google, account: '1', id: '1', terms_accepted: true, key: '${GOOGLE_KEY}'",
        "platform: file, to: /var/audiences, form: google, control: 0%",
        "platform: file, to: 's3://bucket/folder', storage: {access_key_id: a, secret_access_key: b}",
    ],
)
def test_audience_that_can_be_filled(words):
    found = reading(words)
    assert found.mistakes == ()
    assert "secret" not in repr(found.shops["main"].audiences["shoes"])


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ("platform: meta, id: '1'", "an audience at meta needs token"),
        ("platform: meta, id: '1', token: ''", "an audience at meta needs token"),
        ("platform: meta", "an audience at meta needs id and token"),
        ("platform: google, account: '1', id: '2', terms_accepted: true", "an audience at google needs key"),
        (f"platform: google, account: '1', id: '2', key: '{KEY}'", "write terms_accepted: true"),
        ("platform: google, account: '1', id: '2', terms_accepted: true, key: geheim", "key is not the JSON key"),
        ("platform: file", "an audience at file needs to"),
        ("platform: meta, id: '1', token: t, to: /tmp", '"to" says nothing to meta: it is a word of file'),
        ("platform: meta, id: mine, token: t", '"mine" is not a number as the platform shows it'),
        ("platform: meta, id: '1', token: t, control: 80%", "at most 50%"),
        ("platform: meta, id: '1', token: t, tokn: t", 'unknown word "tokn"; did you mean "token"?'),
        ("platform: tiktok, id: '1'", '"tiktok" is not known here; it can be meta, google, file'),
    ],
)
def test_audience_that_cannot(words, sentence):
    said = mistake(words)
    assert sentence in said
    assert said.startswith("shops.yaml:6:")
    assert "geheim" not in said


def test_step_says_which_audience_and_for_how_long():
    policy = read_policy(STEP % "audience: shoes, for: 14d", "main.yaml", "main").policy
    step = policy.step("retarget")
    assert (step.send, step.audience, step.stays) == ("audience", "shoes", timedelta(days=14))


def test_stored_policy_still_knows_for_how_long():
    policy = read_policy(STEP % "audience: shoes, for: 14d", "main.yaml", "main").policy
    again = Policy.from_json(policy.to_json())
    assert again.step("retarget").stays == timedelta(days=14)
    assert again.hash == policy.hash


@pytest.mark.parametrize("words", ["audience: shoes", "for: 14d", "template: x"])
def test_step_that_leaves_one_of_them_out_is_refused(words):
    [found] = read_policy(STEP % words, "main.yaml", "main").mistakes
    assert "says which and for how long: {audience: NAME, for: 14d}" in str(found)


def test_mail_goes_into_no_audience():
    text = "extends: default\nsteps: [{name: remind, audience: shoes}]\n"
    [found] = read_policy(text, "main.yaml", "main").mistakes
    assert "go with `send: audience` only" in str(found)


def test_slip_of_the_pen_in_for_is_told_by_its_written_name():
    [found, *_] = read_policy(STEP % "audience: shoes, fr: 14d", "main.yaml", "main").mistakes
    assert 'unknown word "fr"; did you mean "for"?' in str(found)


@given(st.floats(0, 1, exclude_max=True), st.floats(0, 0.5), st.floats(0, 0.5))
def test_whoever_stays_out_at_one_share_does_so_at_every_larger_one(key, one, other):
    small, large = sorted((one, other))
    assert stays_out("shoes", key, small) <= stays_out("shoes", key, large)
    assert not stays_out("shoes", key, 0)


def test_control_groups_are_as_large_as_they_should_be_and_independent():
    keys = [no / 10_000 for no in range(10_000)]
    shoes = {key for key in keys if stays_out("shoes", key, 0.1)}
    hats = {key for key in keys if stays_out("hats", key, 0.1)}
    assert 900 < len(shoes) < 1100
    assert 60 < len(shoes & hats) < 140
    assert 60 < len({key for key in shoes if key < 0.1}) < 140
