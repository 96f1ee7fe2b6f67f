"""The table of accidents leads to tests that are there."""

import re
from pathlib import Path

import pytest

PAGE = Path(__file__).parents[1] / "flow" / "faults" / "README.md"
LINKS = sorted(set(re.findall(r"\]\(([^)\s]+)\)", PAGE.read_text("utf-8"))))


@pytest.mark.parametrize("target", LINKS)
def test_it_leads_somewhere(target):
    assert (PAGE.parent / target).resolve().is_file()
