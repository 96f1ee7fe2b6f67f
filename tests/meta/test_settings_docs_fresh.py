"""docs/settings.md and docs/commands.md say what the code says."""

import importlib.util
from pathlib import Path

import pytest

from daemon.settings import Settings

ROOT = Path(__file__).parents[2]


def generator(name):
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


SETTINGS, COMMANDS = generator("docs_settings"), generator("docs_cli")


@pytest.mark.parametrize("written", [SETTINGS, COMMANDS], ids=["settings", "commands"])
def test_what_is_generated_is_fresh(written):
    assert written.PAGE.read_text("utf-8") == written.page(), "run `make docs`"


def test_every_setting_is_on_the_page_with_what_it_does():
    lines = SETTINGS.page().splitlines()
    for name, field in Settings.model_fields.items():
        assert field.description
        assert any(line.startswith(f"| `TILLBELL_{name.upper()}` |") and field.description in line for line in lines)


def test_no_default_of_a_secret_is_printed():
    assert "SecretStr" not in SETTINGS.page()
    assert "****" not in SETTINGS.page()


def test_every_command_is_on_the_page_with_what_it_does():
    listed = list(COMMANDS.commands(COMMANDS.app, ("tillbell",)))
    assert {"tillbell run", "tillbell why", "tillbell suppress import", "tillbell rules try"} <= {
        name for name, _ in listed
    }
    for name, command in listed:
        assert f"\n## {name}\n" in COMMANDS.page()
        assert command.help.partition("\n")[0] in COMMANDS.page()


def test_every_option_says_what_it_does():
    silent = [
        f"{name} {one.names[0]}"
        for name, command in COMMANDS.commands(COMMANDS.app, ("tillbell",))
        for one in command.assemble_argument_collection(parse_docstring=True)
        if one.index is None and not one.parameter.help
    ]
    assert silent == []
