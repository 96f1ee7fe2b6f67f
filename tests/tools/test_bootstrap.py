"""Set up from a bare clone: in a folder with spaces, twice at once, and again after a kill. Fetches packages: long."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PARTS = (
    "tools",
    "channels",
    "daemon",
    "migrations",
    "rules",
    "pyproject.toml",
    "requirements.lock",
    "README.md",
    "LICENSE",
)
ASK = "import asyncpg, daemon, hatchling, pytest, sys; print(sys.prefix)"
pytestmark = [pytest.mark.long, pytest.mark.timeout(600)]


@pytest.fixture
def clone(tmp_path):
    folder = tmp_path / "a shop's clone"
    folder.mkdir()
    for part in PARTS:
        copy = shutil.copytree if (ROOT / part).is_dir() else shutil.copy2
        copy(ROOT / part, folder / part)
    return folder


def bootstrap(clone: Path, **variables: str) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "tools/bootstrap.py"],
        cwd=clone, env={**os.environ, **variables}, stderr=subprocess.PIPE, text=True, start_new_session=True,
    )  # fmt: skip


def said(process: "subprocess.Popen[str]") -> str:
    """What it told, when it has ended well."""
    text = process.communicate()[1]
    assert process.returncode == 0, text
    return text


def works(clone: Path) -> bool:
    asked = subprocess.run([clone / ".venv/bin/python", "-c", ASK], cwd="/", capture_output=True, text=True, check=True)
    return asked.stdout.strip() == str(clone / ".venv")


def test_twice_at_once_and_then_nothing_to_do(clone):
    both = [bootstrap(clone), bootstrap(clone)]
    assert sum("installing" in said(process) for process in both) == 1
    assert works(clone)
    assert said(bootstrap(clone)) == ""


@pytest.mark.parametrize("whole_group", [True, False], ids=["with what it started", "alone"])
def test_killed_at_any_moment_it_goes_on(clone, whole_group):
    killed = 0
    for moment in (0.1, 0.2, 0.4, 0.8, 1.2):
        process = bootstrap(clone)
        try:
            process.wait(moment)
        except subprocess.TimeoutExpired:
            (os.killpg if whole_group else os.kill)(process.pid, signal.SIGKILL)
            killed += 1
        process.communicate()
    assert killed
    said(bootstrap(clone))
    assert works(clone)


def test_changed_lock_is_followed(clone):
    said(bootstrap(clone))
    lock = clone / "requirements.lock"
    lock.write_text(lock.read_text() + "\n# changed\n")
    assert "installing" in said(bootstrap(clone))


def test_moved_folder_is_made_anew(clone):
    said(bootstrap(clone))
    moved = clone.rename(clone.with_name("moved"))
    assert "making" in said(bootstrap(moved))
    assert works(moved)


def test_without_uv_it_is_fetched_into_the_folder(clone):
    without = os.pathsep.join(
        folder for folder in os.environ["PATH"].split(os.pathsep) if not (Path(folder) / "uv").exists()
    )
    assert "fetching uv" in said(bootstrap(clone, PATH=without))
    assert works(clone)
    assert list((clone / ".tools").glob("*/bin/uv"))
