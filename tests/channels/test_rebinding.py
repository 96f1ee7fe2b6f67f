"""A name server that says one thing, and then another, by way of the system's own resolver."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

WORLD = Path(__file__).with_name("rebinding.py")


def test_name_that_moves_inside_between_two_questions_leads_nowhere(needs_program, tmp_path):
    alone = [needs_program("unshare"), "-Urmn"]
    if subprocess.run([*alone, "true"], check=False, capture_output=True).returncode:
        pytest.skip("this account may have no network of its own")
    said = subprocess.run(
        [*alone, sys.executable, WORLD, tmp_path],
        check=False,
        capture_output=True,
        text=True,
        timeout=120,
        env={**os.environ, "PYTHONPATH": str(WORLD.parents[2])},
    )
    assert said.returncode == 0, said.stderr
    found = json.loads(said.stdout)
    assert found["told"][1::2] == ["forbidden"] * 3
    assert "forbidden" not in found["told"][::2]
    assert (found["asked"], found["outside"], found["inside"]) == (6, 3, 0), "each name is looked up once"
    assert found["careless"] == 1, "without a look at what was found, the inside is reached"
