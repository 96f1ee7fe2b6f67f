"""What a guard of the promise is: how it is taken away, and the test that has to miss it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Edit:
    """`there` stands exactly once in `file` and becomes `instead`."""

    file: str
    there: str
    instead: str


@dataclass(frozen=True, slots=True)
class Guard:
    """Without it, after all `edits`, an assertion of `test` fails: a test or a file of them; docs/guards.md tells."""

    name: str
    test: str
    edits: tuple[Edit, ...]


def guard(name: str, test: str, file: str, there: str, instead: str, *more: Edit) -> Guard:
    """One that stands in one place, or with what has to go with it."""
    return Guard(name, test, (Edit(file, there, instead), *more))
