"""Rule files: what becomes of them, and every mistake with its address and a hint."""

import json
from datetime import timedelta

import pytest

from rules import merge
from rules.later import CHANNELS
from rules.policy import Policy
from rules.reader import read_policy, shown


def mistakes(text):
    reading = read_policy(text, "rules/main.yaml", "main")
    assert reading.policy is None
    return [str(mistake) for mistake in reading.mistakes]


STEPS = "steps:\n  - {name: remind, send: email, after: 1h}\n"


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        pytest.param(
            "extends: fashion\nsteps:\n  - {name: remind, afer: 1h}\n",
            'rules/main.yaml:3:20 steps[0].afer: unknown word "afer"; did you mean "after"?',
            id="a slip of the pen",
        ),
        pytest.param(
            STEPS + "stop_on: [purchase]\n",
            'rules/main.yaml:3:1 stop_on: unknown word "stop_on"; did you mean "stops_on"?',
            id="a slip at the top",
        ),
        pytest.param(
            STEPS + "starts: {never: {adresses: []}}\n",
            'rules/main.yaml:3:18 starts.never.adresses: unknown word "adresses"; did you mean "addresses"?',
            id="a slip far down",
        ),
        pytest.param(
            "extends: fasion\n" + STEPS,
            'rules/main.yaml:1:10 extends: unknown preset "fasion"; did you mean "fashion"?',
            id="an unknown preset",
        ),
        pytest.param(
            "extends: toys\n" + STEPS,
            'rules/main.yaml:1:10 extends: unknown preset "toys"; presets are default, electronics, fashion, '
            "subscription",
            id="a preset that nothing is near to",
        ),
        pytest.param(
            "extends: default\nwithout: [doubt]\n",
            'rules/main.yaml:2:11 without[0]: the preset has no step "doubt"; did you mean "doubts"?',
            id="without a step that is not there",
        ),
        pytest.param(
            "without: [x]\n" + STEPS,
            'rules/main.yaml:1:1 without: only a policy that extends a preset can be "without" its steps',
            id="without, and no preset",
        ),
        pytest.param(
            "steps:\n  - {name: remind, send: email, after: 1}\n",
            'rules/main.yaml:2:40 steps[0].after: "1" is not a span of time; write a span with its unit, like "45m", '
            '"24h" or "7d"',
            id="a number without its unit",
        ),
        pytest.param(
            STEPS + "starts: {total_at_least: 20}\n",
            'rules/main.yaml:3:26 starts.total_at_least: "20" is not an amount of money; write it with its currency, '
            'like "20 EUR"',
            id="money without its currency",
        ),
        pytest.param(
            "steps:\n  - {name: nudge, send: fax, after: 7h}\n",
            f'rules/main.yaml:2:25 steps[0].send: "fax" is not a channel; channels are {", ".join(CHANNELS)}',
            id="no such channel",
        ),
        pytest.param(
            "programme: winback\n" + STEPS,
            "rules/main.yaml:1:12 programme: this version of tillbell cannot run the programme winback yet",
            id="winback is for later",
        ),
        pytest.param(
            STEPS + "experiment: {name: x}\n",
            'rules/main.yaml:3:1 experiment: "experiment" is for later: this version of tillbell cannot run '
            "experiments yet",
            id="experiments are for later",
        ),
        pytest.param(
            "steps:\n  - {name: a, send: email, after: 1h, incentive: {percent: 10}}\n",
            'rules/main.yaml:2:39 steps[0].incentive: "incentive" is for later: this version of tillbell cannot give '
            "incentives yet",
            id="incentives are for later",
        ),
        pytest.param(
            STEPS + "  - {name: b, send: email, after: 2h, unless: {remnd: [opened]}}\n",
            'rules/main.yaml:3:55 steps[1].unless.remnd: no earlier step is called "remnd"; did you mean "remind"?',
            id="unless an unknown step",
        ),
        pytest.param(
            "steps:\n  - {name: remind, send: email, after: 3h, unless: {doubts: opened}}\n"
            "  - {name: doubts, send: email, after: 9h}\n",
            'rules/main.yaml:2:61 steps[0].unless.doubts: no earlier step is called "doubts"',
            id="unless a later step",
        ),
        pytest.param(
            STEPS + "  - {name: b, send: email, after: 2h, unless: {remind: [opend]}}\n",
            'rules/main.yaml:3:57 steps[1].unless.remind[0]: "opend" is not known here; did you mean "opened"?',
            id="an unknown reaction",
        ),
        pytest.param(
            STEPS + "  - {name: b, send: email, after: 2h, only_if: cart.totl > 3}\n",
            'rules/main.yaml:3:48 steps[1].only_if: cart has no "totl"; did you mean "total"?',
            id="an unknown word in an expression",
        ),
        pytest.param(
            STEPS + "  - {name: b, send: email, after: 60m}\n",
            "rules/main.yaml:3:35 steps[1].after: b is due at the same time as remind",
            id="two steps at one time",
        ),
        pytest.param(
            STEPS + "  - {name: remind, send: email, after: 2h}\n",
            'rules/main.yaml:3:12 steps[1].name: there is already a step "remind"',
            id="two steps of one name",
        ),
        pytest.param(
            "steps:\n  - {name: a, send: email, after: 10m}\n",
            "rules/main.yaml:2:35 steps[0].after: a is due before the cart has come to rest (starts.rests_for)",
            id="a step before the cart rests",
        ),
        pytest.param(
            STEPS + 'quiet: "8:00-19:00"\non: {between: "9:00-18:00"}\n',
            "rules/main.yaml:4:5 on: quiet hours, days and hours together leave no minute of the week",
            id="no hour is left",
        ),
        pytest.param(
            STEPS + "starts: {rests_for: 1h, not_older_than: 30m}\n",
            "rules/main.yaml:3:41 starts.not_older_than: no cart could ever start: it is shorter than rests_for",
            id="too old before it rests",
        ),
        pytest.param(
            STEPS + "on: {days: [mon, tues]}\n",
            'rules/main.yaml:3:18 on.days[1]: "tues" is not known here; did you mean "tue"?',
            id="an unknown day",
        ),
        pytest.param(
            STEPS + "legal: es\n",
            'rules/main.yaml:3:8 legal: "es" is not a country profile; profiles are de, at, ch, fr, it, uk, us, none',
            id="a country without a profile",
        ),
        pytest.param("shops: [main]\n", 'rules/main.yaml:1:1: the word "steps" is missing here', id="no steps"),
        pytest.param(
            "- a\n",
            "rules/main.yaml:1:1: a rule file is made of words with values, like `extends: default`",
            id="a list",
        ),
        pytest.param(
            "steps:\n  - {name: cart, send: email, after: 1h}\n",
            'rules/main.yaml:2:12 steps[0].name: "cart" is a word of conditions and cannot name a step',
            id="a name that is taken",
        ),
        pytest.param(
            STEPS + "shops: main\n", "rules/main.yaml:3:8 shops: write a list: [one, another]", id="not a list"
        ),
        pytest.param(
            STEPS + "starts: 1h\n",
            "rules/main.yaml:3:9 starts: write words with values here, like {word: value}",
            id="not a mapping",
        ),
    ],
)
def test_a_mistake_has_an_address_and_a_hint(text, expected):
    assert mistakes(text) == [expected]


def test_all_mistakes_are_told_at_once():
    text = "shop: [main]\nsteps:\n  - {name: A, send: mail, after: 1}\n"
    assert [mistake.split(" ")[0] for mistake in mistakes(text)] == [
        "rules/main.yaml:1:1", "rules/main.yaml:3:12", "rules/main.yaml:3:21", "rules/main.yaml:3:34",
    ]  # fmt: skip


def read(text) -> Policy:
    reading = read_policy(text, "main.yaml", "main")
    assert reading.mistakes == ()
    return reading.policy


@pytest.mark.parametrize("preset", merge.presets())
def test_every_preset_is_a_policy_that_fits_most_shops(preset):
    policy = read(f"extends: {preset}\n")
    assert [step.name for step in policy.steps] == ["remind", "doubts", "last-call"]
    assert policy.steps[0].after <= timedelta(hours=4), "the reminder comes on the same day"
    assert timedelta(hours=48) <= policy.steps[-1].after <= timedelta(days=5)
    assert policy.quiet is not None
    assert policy.caps.any
    assert policy.starts.never.addresses
    assert policy.legal is None, "the law is the operator's to name"
    gaps = [later.after - step.after for step, later in zip(policy.steps, policy.steps[1:], strict=False)]
    assert min(gaps) >= policy.caps.same_channel_gap, "the ladder does not stumble over its own cap"


def test_a_preset_is_changed_word_by_word():
    policy = read("extends: fashion\nstarts: {rests_for: 40m}\nsteps: [{name: doubts, after: 30h}]\n")
    preset = read("extends: fashion\n")
    assert policy.starts.rests_for == timedelta(minutes=40)
    assert policy.starts.not_older_than == preset.starts.not_older_than
    assert [(step.name, step.after) for step in policy.steps] == [
        ("remind", timedelta(minutes=45)), ("doubts", timedelta(hours=30)), ("last-call", timedelta(hours=48)),
    ]  # fmt: skip
    assert policy.step("doubts").unless == preset.step("doubts").unless, "a word that is not said stays"


def test_new_steps_take_their_place_by_time_and_others_can_be_left_away():
    policy = read("extends: default\nwithout: [doubts]\nsteps: [{name: nudge, send: email, after: 7h}]\n")
    assert [step.name for step in policy.steps] == ["remind", "nudge", "last-call"]


def test_a_step_of_the_preset_that_leans_on_one_left_away_can_be_said_anew():
    (mistake,) = mistakes("extends: fashion\nwithout: [remind]\n")
    assert mistake.startswith("preset fashion:8:")
    assert mistake.endswith(
        'called "remind"; it comes from the preset: say the word anew for that step, "~" for nothing'
    )
    policy = read("extends: fashion\nwithout: [remind]\nsteps: [{name: doubts, unless: ~}]\n")
    assert policy.step("doubts").unless is None


def test_a_list_replaces_a_list():
    policy = read("extends: default\nstops_on: [purchase]\nstarts: {never: {addresses: ['@x.test']}}\n")
    assert (policy.stops_on, policy.starts.never.addresses) == (("purchase",), ("@x.test",))


def test_a_policy_comes_back_from_its_json():
    policy = read(
        "extends: subscription\nlegal: de\nstarts: {total_at_least: 19.90 EUR, only_if: 'cart.total < 500.0'}\n"
        "steps: [{name: doubts, subject: {de: Noch Fragen?}, only_if: {person: {existing_customer: true}}}]\n"
    )
    again = Policy.from_json(policy.to_json())
    assert again == policy
    assert again.hash == policy.hash
    assert Policy.from_json(json.loads(policy.to_json())) == policy


def test_the_hash_is_of_what_is_decided_and_not_of_how_it_is_written():
    one = read("extends: default\nsteps: [{name: remind, after: 60m}]\nlegal: de\n")
    assert one.hash == read("legal: de\nextends: default\n").hash
    assert one.hash != read("legal: none\nextends: default\n").hash
    assert one.hash != read_policy("legal: de\nextends: default\n", "x.yaml", "other").policy.hash


def test_show_tells_where_each_line_comes_from():
    text = "extends: fashion\nlegal: de\nsteps:\n  - {name: doubts, after: 30h}\n"
    lines = shown(read_policy(text, "main.yaml", "main").tree)
    assert ("  rests_for: 30m", "preset fashion:3") in lines
    assert ("  again_after: 14d", "preset default:6") in lines
    assert ("legal: de", "main.yaml:2") in lines
    assert ("    after: 30h", "main.yaml:4") in lines
    merged = "\n".join(line for line, _ in lines)
    assert read(merged).hash == read(text).hash, "what is shown is a rule file that decides the same"
