"""An answer to a text is read like one to a mail, and is harmless on a terminal."""

import json

from daemon.post import letter


def test_answer_to_a_text_is_shown_with_its_number_and_without_tricks():
    raw = json.dumps(
        {"kind": "replied", "key": "SM1 received", "address": "+4915112345678", "text": "Hallo\x1b[2J\nGröße 38?"},
        separators=(",", ":"),
    ).encode()
    read = letter.read(raw)
    assert (read.author, read.subject) == ("+4915112345678", "")
    assert read.text == "Hallo[2J\nGröße 38?"


def test_what_only_looks_like_one_is_read_as_a_mail():
    assert letter.read(b'{"kind": broken').author == ""
