"""What the pulse says of rows, without a database."""

from datetime import timedelta

import pytest

from daemon.doctor import signs
from daemon.store.pulse import Behind, Heard, Problem, Waiting


def heard(process: str, kind: str = "worker", *, silent: float = 3, up: float = 3600, lines: int = 0) -> Heard:
    return Heard(process, kind, lines, timedelta(seconds=silent), timedelta(seconds=up))


@pytest.mark.parametrize(
    ("beats", "expected"),
    [
        pytest.param([heard("a"), heard("b")], [], id="both are heard of"),
        pytest.param([heard("a", silent=61), heard("b")], ["a"], id="one of two was killed and nobody took its place"),
        pytest.param([heard("a", silent=300), heard("b", up=200)], [], id="a newer one took its place"),
        pytest.param([heard("a", silent=300), heard("b", "web", up=200)], ["a"], id="a web process replaces no worker"),
        pytest.param(
            [heard("a", silent=300), heard("b", silent=400), heard("c", up=200)], ["a"], id="one newcomer for two"
        ),
        pytest.param(
            [heard("a", silent=100), heard("b", up=200)], ["a"], id="who came before it fell silent is no heir"
        ),
    ],
)
def test_a_process_is_missed_until_another_takes_its_place(beats, expected):
    assert [one.process for one in signs.missed(beats)] == expected


def test_without_a_worker_nothing_is_sent():
    said = signs.of_processes([heard("w", "web")], [])
    assert [one.about for one in said] == ["worker"]


def test_hits_that_wait_in_a_journal_are_told_by_process():
    said = signs.of_processes([heard("w", "all", lines=7)], [])
    assert [str(one) for one in said] == ["7 hits wait in the journal of w; nothing is sent until they are taken over"]


def test_a_process_that_holds_back_says_why():
    one = Heard("a", "worker", 0, timedelta(seconds=3), timedelta(hours=1), "the disk is nearly full")
    assert [one.text for one in signs.of_processes([one], [])] == ["a (worker) claims nothing: the disk is nearly full"]


def test_work_is_late_after_a_minute():
    rows = [Behind(1, "decide", timedelta(seconds=59)), Behind(1, "deliver", timedelta(seconds=754))]
    said = signs.of_the_bell(rows, {1: "main"})
    assert [one.text for one in said] == ["shop main: mails to send (deliver) wait for 12 min"]


def test_the_alarm_counts_what_waits():
    said = signs.of_silence(
        {1}, [Waiting(1, "email", 4, 2), Waiting(2, "email", 9, 0)], {1: "main"}, timedelta(minutes=10)
    )
    assert [one.text for one in said] == [
        "shop main: carts were due and nothing has gone out for 10 min (4 mails not tried, 2 tried in vain)"
    ]


def test_a_work_that_fails_says_why():
    said = signs.of_works([Problem("main", "poll", 4, "ShopUnavailable: no answer")])
    assert [one.text for one in said] == ["shop main: poll has failed 4 times: ShopUnavailable: no answer"]
