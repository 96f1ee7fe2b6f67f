"""The button of double opt-in: what it is asked, and by whom too often."""

from __future__ import annotations

import pytest

from daemon.flow import optin

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.mark.parametrize(
    ("body", "status"),
    [
        pytest.param({"data": "do=delete", "headers": FORM}, 400, id="another wish"),
        pytest.param({"data": "", "headers": FORM}, 400, id="nothing"),
        pytest.param({"json": {"do": "confirm"}}, 400, id="JSON"),
        pytest.param({"data": b"\xff\xfe" * 100, "headers": FORM}, 400, id="noise"),
        pytest.param(
            {"data": b"--x\r\nbad", "headers": {"Content-Type": "multipart/form-data; boundary=x"}}, 400, id="half"
        ),
        pytest.param(
            {"data": "do=confirm", "headers": {"Content-Type": FORM["Content-Type"] + "; charset=klingon"}},
            400,
            id="in letters that nobody knows",
        ),
        pytest.param({"data": b"do=" + b"x" * 1_000_000, "headers": FORM}, 413, id="a megabyte"),
    ],
)
async def test_what_does_not_press_the_button_is_told_so(site, body, status):
    assert (await site.ask("POST", f"/y/{optin.make_token(site.shop_id)}", **body))[0] == status
