"""A guard that can be taken away without a test going red is no guard."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from typing import Any

import pytest

from tests.sabotage.guards import GUARDS, Guard
from tests.sabotage.saboteur import ROOT, Copy, copied, taken_away, told


@pytest.fixture(scope="session")
def copy() -> Iterator[Copy]:
    with copied() as made:
        yield made


def test_every_guard_stands_where_it_is_said_to():
    edits = [(guard.name, edit) for guard in GUARDS for edit in guard.edits]
    assert [name for name, edit in edits if (ROOT / edit.file).read_text().count(edit.there) != 1] == []


@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_the_test_that_misses_it_is_there(guard: Guard) -> None:
    file, _, test = guard.test.partition("::")
    assert f"def {test.partition('[')[0]}" in (ROOT / file).read_text()


def test_the_page_tells_of_each_guard_and_of_its_test():
    spec = importlib.util.spec_from_file_location("docs_guards", ROOT / "tools" / "docs_guards.py")
    generator = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(generator)
    assert generator.PAGE.read_text("utf-8") == generator.page(), "run `make docs`"


@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize("guard", GUARDS, ids=lambda guard: guard.name)
def test_it_is_missed(guard: Guard, copy: Copy, servers: Any, template: str, record_property: Any) -> None:
    found = taken_away(guard, copy, told(servers.database_url, servers.redis_url, template))
    record_property("guard", found.line())
    assert found.missed, f"{guard.test} does not miss it: {found.said}"
