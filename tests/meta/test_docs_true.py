"""The pages keep what they promise: links lead somewhere, commands and make targets exist, the map is the tree."""

import importlib.util
import re
import shlex
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")])
IDS = [str(page.relative_to(ROOT)) for page in PAGES]
EVERY_PAGE = pytest.mark.parametrize("page", PAGES, ids=IDS)
FENCE = re.compile(r"^```.*?^```$", re.M | re.S)


def prose(page: Path) -> str:
    """Without blocks of code, whose brackets are no links."""
    return FENCE.sub("", page.read_text("utf-8"))


def blocks(page: Path) -> list[str]:
    return [block.partition("\n")[2] for block in FENCE.findall(page.read_text("utf-8"))]


def anchors(page: Path) -> set[str]:
    """Of the headings, as a web page of the repository makes them: lower case, no punctuation, hyphens for spaces."""
    headings = re.findall(r"^#+ (.+)$", prose(page), re.M)
    plain = [re.sub(r"[^\w\- ]", "", re.sub(r"\[(.*?)\]\(.*?\)", r"\1", heading).lower()) for heading in headings]
    return {heading.strip().replace(" ", "-") for heading in plain}


def dead_links(page: Path) -> list[str]:
    dead = []
    for target in re.findall(r"\]\(([^)\s]+)\)", prose(page)):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        if not file.exists() or (anchor and anchor not in anchors(file)):
            dead.append(target)
    return dead


def commands_of_tillbell() -> dict[str, set[str]]:
    """Every command by its words, with the options it knows."""
    spec = importlib.util.spec_from_file_location("docs_cli", ROOT / "tools" / "docs_cli.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return {
        name: {option for one in command.assemble_argument_collection() for option in one.names}
        for name, command in module.commands(module.app, ("tillbell",))
    }


def told_commands(page: Path) -> list[list[str]]:
    """The words of each call of tillbell in the page, in text and in blocks."""
    lines = re.findall(r"`(tillbell [^`\n]+)`", prose(page))
    lines += [line for block in blocks(page) for line in re.findall(r"^(?:\$ )?(tillbell [a-z].*)$", block, re.M)]
    return [shlex.split(line, comments=True) for line in lines]


def unknown(call: list[str], known: dict[str, set[str]]) -> str:
    """What of a call does not exist."""
    name = next((" ".join(call[:n]) for n in (3, 2) if " ".join(call[:n]) in known), "")
    groups = {command.rpartition(" ")[0] for command in known} - {"tillbell"}
    if not name:
        listed = call[2].split("|") if len(call) > 2 and " ".join(call[:2]) in groups else [""]
        missing = [word for word in listed if " ".join([*call[:2], word]).strip() not in known.keys() | groups]
        return " ".join(call) if missing and call[1] != "COMMAND" and not call[1].startswith("--") else ""
    options = {word for word in call if word.startswith("--")}
    return " ".join(call) if options - known[name] - {"--help"} else ""


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.M))


def folder_map(page: Path) -> dict[str, str]:
    return dict(re.findall(r"^\| \[([a-z]+)/\]\(([a-z]+)\) \|", page.read_text("utf-8"), re.M))


@EVERY_PAGE
def test_every_link_leads_to_something_that_is_there(page):
    assert dead_links(page) == []


KNOWN = commands_of_tillbell()
NOT_YET = (ROOT / "README.md").read_text("utf-8").partition("## What is not there yet")[2]


@EVERY_PAGE
def test_every_command_that_is_named_exists_with_its_options(page):
    assert [wrong for call in told_commands(page) if (wrong := unknown(call, KNOWN))] == []


@EVERY_PAGE
def test_every_make_target_that_is_named_exists(page):
    named = re.findall(r"(?:^|`|&& )make ([a-z][a-z-]*)", page.read_text("utf-8"), re.M)
    assert set(named) - targets() == set()


@EVERY_PAGE
def test_every_setting_that_is_named_exists(page):
    known = set(re.findall(r"`(TILLBELL_[A-Z_]+)`", (ROOT / "docs" / "settings.md").read_text("utf-8")))
    known |= {f"{name}_FILE" for name in known} | {"TILLBELL_DATABASE_PASSWORD"}  # that one is the compose file's
    named = set(re.findall(r"\bTILLBELL_[A-Z][A-Z_]+[A-Z]\b", page.read_text("utf-8")))
    assert named - known == set()


def test_the_two_commands_stand_at_the_top():
    assert blocks(ROOT / "README.md")[0].splitlines()[:2] == ["make demo", "make test"]


def test_the_folder_map_is_the_tree():
    shown = folder_map(ROOT / "README.md")
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    folders = {name.partition("/")[0] for name in listed.split("\n") if "/" in name and not name.startswith(".")}
    if not folders:
        pytest.skip("not a git clone: nothing says which folders belong to it")
    assert all(name == target for name, target in shown.items())
    assert set(shown) == folders


def test_what_is_said_to_be_missing_is_missing():
    """Who builds it takes the line out of the README."""
    named = re.findall(r"`(doctor|rules [a-z]+)`", NOT_YET)
    assert len(named) >= 2
    assert [name for name in named if f"tillbell {name}" in KNOWN] == []


@pytest.mark.parametrize(
    ("call", "wrong"),
    [
        pytest.param("tillbell why 4711", False, id="a command with its argument"),
        pytest.param("tillbell pause x --for 2h", False, id="an option that is there"),
        pytest.param("tillbell pause x --until 2h", True, id="an option that is not"),
        pytest.param("tillbell explain 4711", True, id="a command that is not"),
        pytest.param("tillbell rules simulate", True, id="a sub-command that is not"),
        pytest.param("tillbell suppress add|remove", False, id="several at once"),
    ],
)
def test_the_test_knows_wrong_calls(call, wrong):
    assert bool(unknown(call.split(), KNOWN)) == wrong


def test_the_test_knows_dead_links(tmp_path):
    page = tmp_path / "page.md"
    page.write_text(
        "# A `heading`, here\n[a](#a-heading-here) [b](#else) [c](no.md) [d](page.md) [e](https://x.example)\n"
    )
    assert dead_links(page) == ["#else", "no.md"]
