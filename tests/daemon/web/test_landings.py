"""Where the shop's pages carry the script, a click is a human's once its page was looked at; a scanner's never is."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta

from daemon.hits import SCRIPT, Seen, classify
from tests.letters import BROWSER

SENT = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)


def hit(kind: str, minutes: float, link_no: int | None = 0, method: str = "GET", agent: str = BROWSER) -> Seen:
    return Seen(uuid.uuid4(), kind, SENT + timedelta(minutes=minutes), method, agent, link_no)


def landing(minutes: float, link_no: int = 0, agent: str = BROWSER) -> Seen:
    return hit("landed", minutes, link_no, SCRIPT, agent)


def test_a_click_whose_page_was_looked_at_is_a_humans():
    click, look = hit("clicked", 5), landing(5.1)
    assert classify([click, look], SENT, beacon=True)[click.id] == "human"


def test_a_plain_get_is_nobodys_where_the_script_is_even_if_the_mail_was_opened():
    opened, click = hit("opened", 4, None), hit("clicked", 5)
    assert classify([opened, click], SENT, beacon=True)[click.id] == "unknown"
    assert classify([opened, click], SENT)[click.id] == "human"  # without the script, as before


def test_a_look_counts_for_the_last_click_on_its_link():
    scanned, clicked, other = hit("clicked", 1), hit("clicked", 9), hit("clicked", 9.5, 1)
    classes = classify([scanned, clicked, other, landing(10)], SENT, beacon=True)
    assert [classes[one.id] for one in (scanned, clicked, other)] == ["unknown", "human", "unknown"]


def test_a_look_half_an_hour_later_or_before_is_no_proof():
    click = hit("clicked", 5)
    for minutes in (4, 36):
        assert classify([click, landing(minutes)], SENT, beacon=True)[click.id] == "unknown"


def test_a_scanner_that_runs_scripts_is_still_one():
    click, look = hit("clicked", 5, agent="Barracuda Sentinel (EE)"), landing(5.1, agent="Barracuda Sentinel (EE)")
    assert set(classify([click, look], SENT, beacon=True).values()) == {"machine"}
    swept = [hit("clicked", 5, number) for number in range(4)]
    classes = classify([*swept, landing(5.1)], SENT, beacon=True)
    assert {classes[one.id] for one in swept} == {"machine"}


def test_a_notice_that_hung_at_once_was_seen_by_a_human():
    seen = hit("opened", 0.05, None, SCRIPT)
    assert classify([seen], SENT)[seen.id] == "human"
