"""Words that do not belong into a file that others read."""

import re
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
BINARY = {".png", ".gif", ".webp", ".jpg", ".ico", ".gz"}
HASHES = {"requirements.lock", "requirements-run.lock", "uv.lock"}
# Written apart, so that this file does not name them either.
FORBIDDEN = {
    "a folder of one machine": rf"(?<![\w.$}}])/(?:{'wo' + 'rk'}|{'ro' + 'ot'})/",
    "a package registry": "|".join(("py" + r"pi\.org", "python" + "hosted", "test" + r"\.pypi")),
    "an unfinished thought": "|".join((rf"\b{'TO' + 'DO'}\b", rf"\b{'FIX' + 'ME'}\b", rf"\b{'X' * 3}\b")),
    "a ticket number": rf"\b{'iss' + 'ue'}s? #?\d+\b",
}


def tracked() -> list[Path]:
    """Without git, as in an unpacked archive, there is nothing to look at."""
    listed = subprocess.run(["git", "ls-files", "-z"], cwd=ROOT, capture_output=True, text=True, check=False).stdout
    found = (ROOT / name for name in listed.split("\0") if name)
    return [path for path in found if path.is_file() and path.suffix not in BINARY and path.name not in HASHES]


FILES = tracked()
IDS = [str(path.relative_to(ROOT)) for path in FILES]


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_names_nothing_that_readers_cannot_follow(path):
    text = path.read_text()
    assert {why: found[0] for why, pattern in FORBIDDEN.items() if (found := re.search(pattern, text))} == {}


@pytest.mark.parametrize("path", FILES, ids=IDS)
def test_every_page_it_names_exists(path):
    named = set(re.findall(r"(?<![\w/.-])(?:[\w-]+/)*[A-Z][A-Z_]+\.md\b", path.read_text()))
    known = {page.name for page in FILES if page.suffix == ".md"} | {"README.md"}
    assert {page for page in named if page.rpartition("/")[2] not in known} == set()


@pytest.mark.parametrize("name", sorted(HASHES))
def test_lock_holds_hashes_and_no_addresses(name):
    text = next(path for path in (ROOT / name, ROOT / "tools" / name) if path.exists()).read_text()
    assert not re.search(r"://|--(?:extra-)?index-url|--find-links|--trusted-host| @ ", text)
    pins = re.findall(r"^[\w.-]+(?:\[[\w,-]+\])?==\S+(?: ;.*?)? \\\n    --hash=sha256:", text, re.M)
    assert len(pins) == len(re.findall(r"^[a-zA-Z]", text, re.M)) > 0
