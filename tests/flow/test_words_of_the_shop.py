"""What a shop says of a consent is news, or it is not: an older or weaker word undoes nothing."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from daemon.flow import graves
from daemon.flow.consents import news
from daemon.shops.base import ConsentHint, Customer
from daemon.store.persons import Known, Word

NOW = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
BEFORE, AFTER = NOW - timedelta(days=2), NOW - timedelta(minutes=1)
SAID_AT = NOW - timedelta(days=1)
PROOF = "double opt-in 4711"


def said(state: str, evidence: str = "", at: datetime | None = None) -> ConsentHint:
    return ConsentHint("email_mkt", state, at, "newsletter", evidence)


def known(state: str, evidence: str = "") -> Word:
    return Word(state, evidence, SAID_AT)


@pytest.mark.parametrize(
    ("hint", "newest", "kept"),
    [
        pytest.param(said("confirmed", PROOF), None, "confirmed", id="a consent with its proof"),
        pytest.param(said("confirmed"), None, "hint", id="a consent without its proof is none"),
        pytest.param(said("hint"), None, "hint", id="a ticked box"),
        pytest.param(said("confirmed", PROOF), known("confirmed", PROOF), None, id="the same again"),
        pytest.param(said("confirmed", PROOF), known("hint"), "confirmed", id="a proof after a hint"),
        pytest.param(said("hint"), known("withdrawn"), None, id="a ticked box undoes no withdrawal"),
        pytest.param(said("confirmed"), known("withdrawn"), None, id="nor does a consent without its proof"),
        pytest.param(said("requested"), known("withdrawn"), None, id="nor does asking"),
        pytest.param(said("hint"), known("confirmed", PROOF), None, id="a ticked box takes no proof away"),
        pytest.param(said("confirmed", PROOF), known("withdrawn"), None, id="an undated proof undoes no withdrawal"),
        pytest.param(said("confirmed", PROOF, SAID_AT), known("withdrawn"), None, id="nor does one of the same moment"),
        pytest.param(said("confirmed", PROOF, BEFORE), known("withdrawn"), None, id="nor does an older one"),
        pytest.param(said("confirmed", PROOF, AFTER), known("withdrawn"), "confirmed", id="a younger proof does"),
        pytest.param(said("withdrawn"), known("confirmed", PROOF), "withdrawn", id="a withdrawal counts at once"),
        pytest.param(said("withdrawn", at=BEFORE), known("confirmed", PROOF), None, id="an older withdrawal is old"),
    ],
)
def test_what_counts(hint: ConsentHint, newest: Word | None, kept: str | None) -> None:
    row = news(1, hint, newest, NOW)
    assert (row and row.state) == kept


@pytest.mark.parametrize(
    ("hint", "comes_back"),
    [
        pytest.param(said("confirmed", PROOF, AFTER), True, id="a proof that is younger than the erasure"),
        pytest.param(said("confirmed", PROOF, BEFORE), False, id="one that is older"),
        pytest.param(said("confirmed", PROOF), False, id="one without its time"),
        pytest.param(said("confirmed", at=AFTER), False, id="no proof at all"),
        pytest.param(said("hint", PROOF, AFTER), False, id="a ticked box"),
    ],
)
async def test_who_was_erased_comes_back_by_a_younger_consent_alone(
    db: Any, hint: ConsentHint, comes_back: bool
) -> None:
    key, ada = ("customer", "7"), Customer("7", "ada@example.org", consents=(hint,))
    grave = Known(1, None, None, is_guest=False, has_account=True, since=SAID_AT)
    told = await graves.sift(db, 1, [(key, ("email", "ada@example.org"), ada)], {}, {key: grave})
    assert told == [ada if comes_back else None]
