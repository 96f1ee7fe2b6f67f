"""Secrets that are made once."""

import os
import subprocess
import sys

import pytest

from daemon.embedded import default_folder, key


def test_key_is_long_and_stays(tmp_path):
    first = key(tmp_path, "pepper")
    assert len(first) == 64
    assert key(tmp_path, "pepper") == first
    assert key(tmp_path, "secret") != first


def test_key_is_for_our_eyes_only(tmp_path):
    key(tmp_path / "data", "pepper")
    assert (tmp_path / "data" / "keys" / "pepper").stat().st_mode & 0o777 == 0o600
    assert (tmp_path / "data" / "keys").stat().st_mode & 0o777 == 0o700


def test_many_at_once_get_the_same_key(tmp_path):
    script = (
        "import sys; from pathlib import Path; from daemon.embedded import key; print(key(Path(sys.argv[1]), 'pepper'))"
    )
    command = [sys.executable, "-c", script, tmp_path]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True) for _ in range(4)]
    assert len({process.communicate()[0] for process in running}) == 1
    assert [path.name for path in (tmp_path / "keys").iterdir()] == ["pepper"]


@pytest.mark.parametrize(
    ("user", "variables", "expected"),
    [
        pytest.param(1000, {"TILLBELL_DATA_DIR": "/srv/bell"}, "/srv/bell", id="the one that was chosen"),
        pytest.param(0, {}, "/var/lib/tillbell", id="root's"),
        pytest.param(1000, {"XDG_DATA_HOME": "/home/ada/data"}, "/home/ada/data/tillbell", id="the desktop's"),
        pytest.param(1000, {"HOME": "/home/ada"}, "/home/ada/.local/share/tillbell", id="under the home folder"),
        pytest.param(
            1000,
            {"HOME": "/home/ada", "XDG_DATA_HOME": "x"},
            "/home/ada/.local/share/tillbell",
            id="not a relative one",
        ),
    ],
)
def test_default_folder(monkeypatch, user, variables, expected):
    for name in ("TILLBELL_DATA_DIR", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(os, "geteuid", lambda: user)
    assert str(default_folder()) == expected
