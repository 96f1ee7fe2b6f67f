"""Who may make networks of machines, who is told why not, and what is left of them: nothing."""

from __future__ import annotations

import os
import subprocess

import pytest

from tests.flow.faults.namespaces import machine, network_maker, switch


@pytest.mark.parametrize("ci", ["true", ""])
def test_who_is_not_root_is_told_why_there_are_no_machines(monkeypatch, ci):
    monkeypatch.setenv("CI", ci)
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(pytest.skip.Exception, match="only root makes networks"):
        network_maker(lambda name: name)


@pytest.mark.parametrize(("ci", "outcome"), [("true", pytest.fail.Exception), ("", pytest.skip.Exception)])
def test_where_root_may_not_make_them_ci_fails_and_others_skip(monkeypatch, ci, outcome):
    monkeypatch.setenv("CI", ci)
    with pytest.raises(outcome, match="this machine makes no networks"), switch("false"):
        pass


@pytest.mark.long
def test_nothing_is_left_of_a_network_whether_its_test_fails_or_is_killed(needs_program):
    ip = network_maker(needs_program)
    gone = subprocess.Popen(["true"])
    gone.wait()
    left = f"tb{gone.pid}"
    for words in (("link", "add", left, "type", "bridge"), ("netns", "add", f"{left}n1")):
        subprocess.run([ip, *words], check=True)
    with switch(ip) as made:
        assert left not in there(made)
        with pytest.raises(ZeroDivisionError):
            breaks_in_the_middle(made)
        assert f"{made.name}n1" not in there(made)
    assert made.name not in there(made)


def there(made):
    return made.told("-o", "link") + made.told("netns", "list")


def breaks_in_the_middle(made):
    with machine(made, 1) as one:
        assert one.name in there(made)
        raise ZeroDivisionError
