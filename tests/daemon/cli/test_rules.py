"""`tillbell rules`: what people see, and the exit codes."""

import json
from pathlib import Path

import pytest

from daemon.cli.rules import app
from rules.law import NOTICE, PROFILES

CART = Path(__file__).parents[3] / "docs" / "examples" / "cart.json"
SHOPS = """shops:
  main:
    connector: push
    url: https://shop.example
    connection: {secrets: ["${SHOP_SECRET}"]}
"""


@pytest.fixture
def folder(tmp_path, monkeypatch):
    (tmp_path / "shops.yaml").write_text(SHOPS, "utf-8")
    (tmp_path / "main.yaml").write_text("extends: default\nlegal: de\n", "utf-8")
    monkeypatch.setenv("TILLBELL_RULES_DIR", str(tmp_path))
    monkeypatch.delenv("SHOP_SECRET", raising=False)
    return tmp_path


def run(capsys, *tokens):
    code = app([str(token) for token in tokens], result_action="return_value")
    return code, capsys.readouterr()


def test_check_is_content(folder, capsys):
    code, said = run(capsys, "check", "--no-secrets")
    assert (code, said.out, said.err) == (0, "main (rehearsal): main\n", "")


def test_check_tells_each_mistake_on_a_line_of_its_own(folder, capsys):
    (folder / "main.yaml").write_text("extends: default\nstart: {rests_for: 5}\nlegal: es\n", "utf-8")
    code, said = run(capsys, "check", folder)
    assert code == 1
    assert said.out.splitlines() == [
        'main.yaml:2:1 start: unknown word "start"; did you mean "starts"?',
        'main.yaml:3:8 legal: "es" is not a country profile; profiles are de, at, ch, fr, it, uk, us, none',
        "shops.yaml:5:28 shops.main.connection.secrets[0]: the environment has no SHOP_SECRET",
    ]


def test_a_text_that_takes_too_many_parts_is_refused_before_anybody_pays_for_it(folder, capsys):
    steps = 'steps: [{name: nudge, send: sms, after: 7h, text: "' + "Still there. " * 12 + '{link} {stop}"}]\n'
    (folder / "main.yaml").write_text(f"extends: default\nlegal: de\nsegments: 1\n{steps}", "utf-8")
    code, said = run(capsys, "check", "--no-secrets")
    assert code == 1
    assert said.out.startswith("main.yaml:4:51 steps[0].text: ")
    assert "takes 2 parts (GSM-7), and 1 are allowed" in said.out
    (folder / "main.yaml").write_text(f"extends: default\nlegal: de\nsegments: 2\n{steps}", "utf-8")
    assert run(capsys, "check", "--no-secrets")[0] == 0


NUDGE = "extends: default\nlegal: de\nsteps: [{name: nudge, send: sms, after: 7h%s}]\n"


@pytest.mark.parametrize(
    ("step", "sms", "said"),
    [
        (
            ", over_budget: leave_out",
            "{price: 0.09 EUR}",
            "main.yaml:3:58 steps[0].over_budget: no shop here has a budget for texts; shops.yaml sets one: "
            "sms: {price: 0.09 EUR, budget: {day: 20 EUR}}",
        ),
        (", over_budget: leave_out", "{price: 0.09 EUR, budget: {month: 300 EUR}}", ""),
        (
            "",
            '{from: "whatsapp:+4930123456"}',
            'main.yaml:3:16 steps[0].name: the shop "main" writes by WhatsApp and has no approved template for nudge; '
            "shops.yaml names it: sms: {templates: {nudge: HX…}}",
        ),
        ("", f'{{from: "whatsapp:+4930123456", templates: {{nudge.de: HX{"0" * 32}}}}}', ""),
    ],
)
def test_a_text_that_could_never_go_out_as_meant_is_refused(folder, capsys, step, sms, said):
    (folder / "shops.yaml").write_text(f"{SHOPS}    sms: {sms}\n", "utf-8")
    (folder / "main.yaml").write_text(NUDGE % step, "utf-8")
    code, told = run(capsys, "check", "--no-secrets")
    assert (code, told.out) == ((1, f"{said}\n") if said else (0, "main (rehearsal): main\n"))


def test_a_folder_that_is_not_there_is_a_matter_of_configuration(folder, capsys):
    code, said = run(capsys, "check", folder / "nowhere")
    assert (code, said.out) == (78, "")
    assert "there is no folder of rules at" in said.err


def test_show_tells_where_each_line_comes_from(folder, capsys):
    code, said = run(capsys, "show", "main")
    lines = {line.split("  # ")[0].rstrip(): line.split("  # ")[-1] for line in said.out.splitlines()}
    assert code == 0
    assert lines["legal: de"] == "main.yaml:2"
    assert lines["  again_after: 14d"] == "preset default:6"


def test_law_tells_each_rule_with_its_source_and_date_and_that_it_is_no_advice(capsys):
    code, said = run(capsys, "law", "us")
    assert (code, said.out.splitlines()[0]) == (0, NOTICE)
    assert "not legal advice" in NOTICE
    for rule in PROFILES["us"].every_rule():
        assert f"* {rule.text} ({rule.source}; noted {rule.noted})\n" in said.out
    assert "UWG" not in said.out
    assert "§ 7(3) UWG" in run(capsys, "law")[1].out
    assert run(capsys, "law", "es")[0] == 2


def test_show_of_a_policy_that_is_not_there(folder, capsys):
    code, said = run(capsys, "show", "mein")
    assert (code, said.err) == (2, 'there is no policy "mein"; there are: main\n')


@pytest.mark.parametrize(
    ("at", "answer"),
    [
        pytest.param("+24h", "Send doubts by email, not after Wed 2026-05-06 22:00", id="the second is due"),
        pytest.param("2026-05-04T12:00:00", "Wait until Tue 2026-05-05 10:00", id="an hour after the first"),
        pytest.param("2026-05-06T21:30:00Z", "Wait until Thu 2026-05-07 07:00", id="at night"),
        pytest.param("+20d", "Stop (expired): ", id="long after"),
    ],
)
def test_try(folder, capsys, at, answer):
    code, said = run(capsys, "try", CART, "--at", at)
    assert code == 0
    assert said.out.splitlines()[-1].startswith(answer)


def test_try_prints_the_questions_in_order(folder, capsys):
    _, said = run(capsys, "try", CART, "--at", "+24h")
    asked = [
        "has something ended it?",
        "is it due?",
        "is there a legal basis?",
        "is it a good hour?",
        "caps leave room?",
    ]
    places = [said.out.index(question) for question in asked]
    assert places == sorted(places)
    assert "order 4711 of 2025-11-20" in said.out


def test_try_as_json(folder, capsys):
    code, said = run(capsys, "try", CART, "--at", "+24h", "--json")
    answer = json.loads(said.out)
    assert code == 0
    assert (answer["verdict"], answer["step"], answer["policy"]) == ("send", "doubts", "main")
    assert answer["basis"]["kind"] == "existing_customer"
    assert [question["about"] for question in answer["questions"]][-2:] == ["hours", "cap"]
    assert all(question["passed"] for question in answer["starts"])


def test_try_can_tell_that_only_a_machine_opened_the_mail(folder, capsys):
    steps = "[{name: remind, after: 1h}, {name: doubts, after: 8h, unless: {remind: [opened, clicked]}}]"
    (folder / "main.yaml").write_text(f"extends: default\nwithout: [last-call]\nlegal: us\nsteps: {steps}\n", "utf-8")
    told = json.loads(CART.read_text("utf-8"))
    told["taken"][0] |= {"reactions": [], "maybe": ["opened"]}
    (folder / "cart.json").write_text(json.dumps(told), "utf-8")
    code, said = run(capsys, "try", folder / "cart.json", "--at", "+9h")
    assert code == 0
    assert "machines at most opened what came before, so a click is waited for 14 h longer" in said.out


def test_try_needs_to_know_which_policy(folder, capsys):
    (folder / "other.yaml").write_text("extends: fashion\n", "utf-8")
    code, said = run(capsys, "try", CART, "--at", "+24h")
    assert (code, said.err) == (2, "--policy: which of main, other?\n")
    assert run(capsys, "try", CART, "--at", "+24h", "--policy", "other")[0] == 0


def test_try_at_no_time(folder, capsys):
    code, said = run(capsys, "try", CART, "--at", "soon")
    assert code == 2
    assert 'write "+26h"' in said.err


def test_try_on_a_cart_with_mistakes(folder, capsys, tmp_path):
    cart = tmp_path / "cart.json"
    cart.write_text('{"cart": {"changed_at": "2026-05-04T10:00:00", "totl": 5}, "person": {}}', "utf-8")
    code, said = run(capsys, "try", cart, "--at", "+1h")
    assert code == 78
    assert said.err.splitlines() == [
        "cart.json:1:25 cart.changed_at: a time needs its offset from UTC, like 2026-05-04T10:00:00+02:00",
        'cart.json:1:48 cart.totl: unknown word "totl"; did you mean "total"?',
    ]
