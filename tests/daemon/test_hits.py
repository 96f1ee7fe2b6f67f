"""Who was it? A person, a machine, or we cannot tell."""

import uuid
from datetime import UTC, datetime, timedelta

import pytest

from daemon.hits import Hit, Seen, classify, from_line, is_scanner

ACCEPTED = datetime(2026, 3, 2, 9, 0, tzinfo=UTC)
FIREFOX = "Mozilla/5.0 (X11; Linux x86_64; rv:128.0) Gecko/20100101 Firefox/128.0"
IPHONE = "Mozilla/5.0 (iPhone; CPU iPhone OS 17_5 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Mobile/15E148"
OUTLOOK = "Mozilla/4.0 (compatible; MSIE 7.0; Windows NT 10.0; Trident/7.0; Microsoft Outlook 16.0.5266; ms-office)"
GMAIL = "Mozilla/5.0 (Windows NT 5.1; rv:11.0) Gecko Firefox/11.0 (via ggpht.com GoogleImageProxy)"
YAHOO = "YahooMailProxy; https://help.yahoo.com/kb/yahoo-mail-proxy-SLN28749.html"
CUBOT = "Mozilla/5.0 (Linux; Android 9; CUBOT_NOTE_Plus) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/99.0 Mobile"
HEADLESS = "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) HeadlessChrome/120.0 Safari/537.36"


def seen(kind: str, after: float, agent: str = FIREFOX, **more: object) -> Seen:
    at = ACCEPTED + timedelta(seconds=after)
    return Seen(uuid.uuid4(), kind, at, **{"method": "GET", "user_agent": agent, **more})


def classes(*hits: Seen, accepted_at: datetime | None = ACCEPTED, visits: tuple[datetime, ...] = ()) -> list[str]:
    found = classify(hits, accepted_at, visits)
    return [found[hit.id] for hit in hits]


@pytest.mark.parametrize(
    ("hits", "expected"),
    [
        pytest.param([seen("opened", 3600)], ["human"], id="a mail read after an hour"),
        pytest.param([seen("opened", 11, OUTLOOK)], ["human"], id="Outlook is no crawler"),
        pytest.param([seen("opened", 60, CUBOT)], ["human"], id="a telephone called CUBOT is no bot"),
        pytest.param([seen("opened", 60, IPHONE)], ["human"], id="an iPhone without Apple's privacy"),
        pytest.param([seen("opened", 60, "Mozilla/5.0")], ["machine"], id="Apple fetches in advance"),
        pytest.param([seen("opened", 3)], ["machine"], id="nobody reads within ten seconds"),
        pytest.param([seen("opened", 10)], ["machine"], id="nor in ten"),
        pytest.param([seen("opened", 60, method="HEAD")], ["machine"], id="nobody reads the head of a picture"),
        pytest.param([seen("opened", 60, HEADLESS)], ["machine"], id="a browser without a window"),
        pytest.param([seen("opened", 60, "Barracuda Sentinel (EE)")], ["machine"], id="a mail filter"),
        pytest.param([seen("opened", 60, "")], ["unknown"], id="a client without a name"),
        pytest.param([seen("opened", 4, GMAIL)], ["human"], id="Gmail fetches when the mail is shown, however soon"),
        pytest.param(
            [seen("opened", 60, GMAIL), seen("opened", 90, GMAIL)],
            ["human", "unknown"],
            id="Gmail's second is its cache",
        ),
        pytest.param([seen("opened", 60, YAHOO)], ["human"], id="Yahoo shows the mail"),
        pytest.param(
            [seen("opened", 2, YAHOO), seen("opened", 60, YAHOO)], ["machine", "human"], id="Yahoo looks at it first"
        ),
        pytest.param([seen("clicked", 60, link_no=0)], ["unknown"], id="a click that nothing else speaks for"),
        pytest.param([seen("opened", 60), seen("clicked", 65, link_no=0)], ["human", "human"], id="read, then clicked"),
        pytest.param(
            [seen("opened", 60, "Mozilla/5.0"), seen("clicked", 65, link_no=0)],
            ["machine", "unknown"],
            id="fetched by Apple, then clicked",
        ),
        pytest.param([seen("clicked", 5, link_no=0)], ["machine"], id="clicked within ten seconds"),
        pytest.param([seen("clicked", 60, "curl/8.1", link_no=0)], ["machine"], id="clicked by a program"),
        pytest.param(
            [seen("opened", 50), *(seen("clicked", 60 + n / 2, link_no=n) for n in range(3))],
            ["human", "machine", "machine", "machine"],
            id="three links in a second",
        ),
        pytest.param(
            [seen("opened", 50), *(seen("clicked", 60 + n / 2, link_no=0) for n in range(3))],
            ["human", "human", "human", "human"],
            id="an impatient person on one link",
        ),
        pytest.param(
            [seen("opened", 50), *(seen("clicked", 60 + 20 * n, link_no=n) for n in range(3))],
            ["human", "human", "human", "human"],
            id="a person who looks at three products",
        ),
        pytest.param(
            [
                seen("opened", 20),
                seen("clicked", 100, link_no=0),
                seen("clicked", 130, link_no=3, honeypot=True),
                seen("clicked", 189, link_no=1),
                seen("clicked", 300, link_no=1),
            ],
            ["human", "machine", "machine", "machine", "human"],
            id="who follows the hidden link followed its neighbours",
        ),
        pytest.param(
            [seen("viewed", 60), seen("opened", 40)], ["human", "human"], id="read, then looked at the way out"
        ),
    ],
)
def test_class(hits, expected):
    assert classes(*hits) == expected


def test_a_click_followed_by_a_visit_is_human():
    click = seen("clicked", 600, link_no=0)
    assert classes(click, visits=(click.at + timedelta(minutes=2),)) == ["human"]
    assert classes(click, visits=(click.at - timedelta(minutes=2),)) == ["unknown"]
    assert classes(click, visits=(click.at + timedelta(minutes=31),)) == ["unknown"]


def test_without_a_known_time_of_acceptance_nothing_is_too_early():
    assert classes(seen("opened", 1), accepted_at=None) == ["human"]


def test_the_order_of_arrival_does_not_matter():
    hits = [seen("opened", 60, GMAIL), seen("opened", 90, GMAIL), seen("clicked", 100, link_no=1)]
    forwards, backwards = classes(*hits), classes(*reversed(hits))
    assert forwards == list(reversed(backwards)) == ["human", "unknown", "human"]


def test_a_flood_of_clicks_is_judged_in_reasonable_time():
    hits = [seen("clicked", 60 + n / 100, link_no=n % 7) for n in range(1000)]
    assert set(classes(*hits)) == {"machine"}


@pytest.mark.parametrize("agent", [FIREFOX, IPHONE, OUTLOOK, CUBOT, "Outlook-iOS/723 (4.2.0)", ""])
def test_what_people_read_with(agent):
    assert not is_scanner(agent)


def test_a_hit_survives_the_journal():
    hit = Hit(uuid.uuid4(), "clicked", 3, 4711, 2, "GET", "K\u00e4se \U0001f600", "192.0.2.0/24", ACCEPTED)
    assert from_line(hit.line()) == hit
    bare = Hit(uuid.uuid4(), "opened", 3, 4711)
    assert from_line(bare.line()) == bare
