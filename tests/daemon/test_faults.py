"""Crash points: each stands where its name says, and nobody but a test can arm one."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from channels import points
from daemon import faults
from daemon.errors import ConfigurationError
from daemon.settings import read

ROOT = Path(__file__).parents[2]
SOURCE = [path for folder in ("channels", "daemon", "rules") for path in sorted((ROOT / folder).rglob("*.py"))]


PLACES = {
    "before_claim_commit": ["asking.py", "deliver.py"],
    "after_claim_commit": ["asking.py", "deliver.py"],
    "before_connect": ["email.py", "http.py", "outbound.py"],
    "dot_written": ["http.py", "smtp.py"],
    "outcome_known": ["deliver.py"],
    "recording": ["asking.py", "outcomes.py"],
    "recorded": ["asking.py", "outcomes.py"],
    "reaping": ["stop.py"],
}
"""A message is claimed and recorded in one way, a mail that asks for a consent in another; each way of connecting and
of writing has its own place."""


def test_each_point_stands_where_it_should():
    reached = re.compile(r'points\.reached\("(\w+)"\)')
    found = sorted((name, path.name) for path in SOURCE for name in reached.findall(path.read_text()))
    assert found == sorted((name, file) for name, files in PLACES.items() for file in files)
    assert {*PLACES} == {*faults.POINTS}


def test_no_part_of_the_product_arms_one():
    arms = re.compile(r"from daemon import .*\bfaults\b|daemon\.faults|\bfaults\.arm\b|points\.reached\s*=")
    assert [path.name for path in SOURCE if arms.search(path.read_text())] == ["points.py", "faults.py"]
    with pytest.raises(ConfigurationError, match="TILLBELL_FAULT"):
        read({"TILLBELL_FAULT": "after_claim_commit:kill"})


@pytest.mark.parametrize("words", ["", "kill", "dot_written", "dot_writen:kill", "dot_written:maim", "recorded:kill:x"])
def test_a_fault_that_cannot_happen_is_refused(words, monkeypatch):
    monkeypatch.setattr(points, "reached", points.reached)
    with pytest.raises(ValueError, match="is not point:kill"):
        faults.arm(words)


TRIED = """
from channels import points
from daemon import faults

faults.arm("recorded:kill:3")
for name in ("recorded", "reaping", "recorded", "reaping", "recorded"):
    print(name, flush=True)
    points.reached(name)
print("survived")
"""


def test_it_strikes_the_nth_time_and_says_so_before():
    told = subprocess.run([sys.executable, "-c", TRIED], cwd=ROOT, capture_output=True, text=True, check=False)
    assert told.returncode == -signal.SIGKILL
    assert told.stdout.split() == ["recorded", "reaping", "recorded", "reaping", "recorded"]
    assert told.stderr == f"{faults.FIRED} recorded\n"
