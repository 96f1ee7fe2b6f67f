"""What is kept of a decision can be told by name again."""

from __future__ import annotations

from dataclasses import astuple, fields

from daemon.store.decisions import ASKED, spelled
from rules.facts import Question

DUE = Question("is it due?", "fine", True, "not_due", "remind")


def test_a_question_is_kept_by_the_places_of_its_parts():
    assert tuple(field.name for field in fields(Question)) == ASKED
    told = dict(zip(ASKED, astuple(DUE), strict=True))
    assert spelled([list(astuple(DUE)), told]) == [told, told]
