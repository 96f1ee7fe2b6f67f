"""Who left by mails that a restored backup does not know, in a sentence."""

from __future__ import annotations

from daemon.doctor import lost


def test_one_who_left_is_named_by_the_mail():
    said = lost.of_the_lost("main", ["t.1.7.abc@shop.example"])
    assert said.amiss
    assert said.text == (
        "shop main: 1 person left or complained by mails that this database does not know, as a backup was restored, "
        "and will be written to again: t.1.7.abc@shop.example"
    )
    assert "tillbell suppress add ADDRESS" in said.hint


def test_ten_are_named_and_the_others_counted():
    said = lost.of_the_lost("main", [f"m{number}" for number in range(12)])
    assert "12 people left or complained" in said.text
    assert said.text.endswith("m8, m9 and 2 more")


def test_no_more_are_counted_than_were_read():
    assert "1000 or more people left or complained" in lost.of_the_lost("main", ["m"] * 1000).text
