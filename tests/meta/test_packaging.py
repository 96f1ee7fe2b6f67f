"""What ships beside the code: image, compose file, locks, make targets, commit hooks."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from ruamel.yaml import YAML

from daemon.settings import Settings

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent


def output(*command: str | Path, **variables: str) -> str:
    """What the command prints; it must succeed."""
    environment = {"PATH": os.environ["PATH"], "HOME": os.environ.get("HOME", "/"), **variables}
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_dockerfile_has_no_fault():
    assert output(BIN / "hadolint", "Dockerfile") == ""


def test_compose_file_is_understood():
    output(BIN / "docker-compose", "--file", "compose.yaml", "config", "--quiet", TILLBELL_DATABASE_PASSWORD="x")


def test_compose_asks_for_a_password():
    done = subprocess.run(
        [BIN / "docker-compose", "--file", "compose.yaml", "config", "--quiet"],
        cwd=ROOT, env={"PATH": os.environ["PATH"]}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode != 0
    assert "write it into .env" in done.stderr


def test_every_service_waits_for_healthy_servers():
    services = YAML(typ="safe").load((ROOT / "compose.yaml").read_text())["services"]
    for name in ("database", "bell"):
        assert services[name]["healthcheck"]["test"]
        assert services["tillbell"]["depends_on"][name] == {"condition": "service_healthy"}


@pytest.mark.parametrize("name", ["Dockerfile", "compose.yaml"])
def test_settings_named_in_it_exist(name):
    named = set(re.findall(r"TILLBELL_([A-Z_]+)(?:[:=] ?)[^?-]", (ROOT / name).read_text()))
    assert named
    assert {setting.lower() for setting in named} - set(Settings.model_fields) - {"database_password"} == set()


def pins(name: str) -> set[str]:
    return set(re.findall(r"^([\w.-]+(?:\[[\w,-]+\])?==[^\s;]+)", (ROOT / name).read_text(), re.M))


def test_image_gets_the_versions_that_were_tested():
    to_run, everything = pins("requirements-run.lock"), pins("requirements.lock")
    assert to_run
    assert to_run < everything
    assert not {pin for pin in to_run if pin.startswith(("pytest", "mypy", "ruff"))}


def test_every_make_target_is_explained():
    text = (ROOT / "Makefile").read_text()
    targets = set(re.findall(r"^([a-z-]+):", text, re.M))
    assert {"demo", "test", "test-long", "check", "fix", "bench", "docs", "lock", "help"} <= targets
    assert set(re.findall(r"make ([a-z-]+) ", output("make"))) >= targets


def test_commit_hooks_fetch_nothing():
    hooks = YAML(typ="safe").load((ROOT / ".pre-commit-config.yaml").read_text())
    assert [repository["repo"] for repository in hooks["repos"]] == ["local"]
