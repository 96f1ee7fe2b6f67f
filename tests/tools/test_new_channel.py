"""`make new-channel` writes a channel that keeps the contract from the first minute."""

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = ("channels", "daemon", "rules", "migrations", "tests", "tools", "pyproject.toml")


@pytest.fixture
def tree(tmp_path):
    """As much of the project as a channel needs."""
    for part in PARTS:
        source, target = ROOT / part, tmp_path / part
        target.parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copy(source, target)
    return tmp_path


def made(tree, *names):
    return subprocess.run(
        [sys.executable, "tools/new_channel.py", *names], cwd=tree, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize("names", [(), ("Fax",), ("fax machine",), ("import",), ("../fax",), ("a", "b")])
def test_a_name_that_cannot_be_says_how_one_looks(tree, names):
    said = made(tree, *names)
    assert (said.returncode, said.stdout) == (1, "")
    assert "NAME=fax" in said.stderr


def test_a_channel_that_is_there_is_not_written_over(tree):
    said = made(tree, "email")
    assert said.returncode == 1
    assert said.stderr.startswith("channels/email.py is there already")


def test_the_contract_is_green_for_it_at_once(tree):
    assert made(tree, "fax").returncode == 0
    contract = ["-q", "-p", "no:cacheprovider", "-k", "fax", "tests/channels/test_contract.py"]
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", *contract],
        cwd=tree, capture_output=True, text=True, check=False, env={"PATH": "/usr/bin:/bin", "PYTHONPATH": str(tree)},
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout[-2000:]
    assert "skipped" not in ran.stdout
    assert int(ran.stdout.split(" passed")[0].split()[-1]) >= 15


@pytest.mark.long
def test_it_is_clean_at_once(tree):
    made(tree, "fax")
    for command in (["mypy", "--strict", "channels/fax.py"], ["ruff", "check", "channels/fax.py"]):
        said = subprocess.run([sys.executable, "-m", *command], cwd=tree, capture_output=True, text=True, check=False)
        assert said.returncode == 0, said.stdout
