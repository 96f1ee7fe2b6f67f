"""`tillbell report` and `tillbell books`: every figure with what it is a share of, rehearsals apart."""

from __future__ import annotations

import json

import pytest

from tests.flow.test_rehearsal import shops as rehearsing

REPORT = """\
shop main

Carts
state    followed up                                        carts
open     yes                                                    3
open     no: the total is below what the policy asks for        1

Recoveries
group      ended by    evidence        recoveries
treated    open                                 2
treated    purchase    clicked link             1

Messages
channel    step      state       messages
email      doubts    accepted           1
email      remind    accepted           1
email      remind    failed             1

Hits: messages with at least one
what       by       messages
clicked    human           1
opened     human           1

Effect
  Of all who were followed up, held out or not: who bought within 7 days.
  treated   33.3%: 1 of 3 recoveries, 3 persons
  held out  0 of 0 recoveries, 0 persons
  too few persons yet for a comparison

Attributed: what links an order to a recovery, no proof of effect
evidence        orders    total
clicked link         1    49.90    EUR
"""


def lines(text: str) -> list[str]:
    return [line.rstrip() for line in text.splitlines()]


async def test_it_names_what_its_shares_are_of(busy_town, beside):
    said = await beside(busy_town, width=80)("report")
    assert said.code == 0
    assert lines(said.out) == REPORT.splitlines()

    figures = beside(busy_town)
    [told] = json.loads((await figures("report", "--json")).out).values()
    assert told["effect"]["denominator"].startswith("all enrolled recoveries")
    assert (told["effect"]["treated"], told["effect"]["treated_rate"]) == (
        {"persons": 3, "recoveries": 3, "recovered": 1}, pytest.approx(1 / 3)
    )  # fmt: skip
    assert "each" not in told

    [told] = json.loads((await figures("report", "--each", "--json", "--shop", "main")).out).values()
    assert [(one["cart"], one["end_reason"], len(one["steps"])) for one in told["each"]] == [
        ("c1", "purchase", 2), ("c2", None, 1), ("c3", None, 0)
    ]  # fmt: skip
    assert "@" not in json.dumps(told)

    # What began before the time asked for is left out; a purchase counts only within the window.
    [told] = json.loads((await figures("report", "--json", "--since", "2h")).out).values()
    assert sum(row["recoveries"] for row in told["recoveries"]) == 2
    [told] = json.loads((await figures("report", "--json", "--window", "3h")).out).values()
    assert told["effect"]["treated"]["recovered"] == 0

    books = await figures("books")
    assert (books.code, lines(books.out)[-1]) == (0, "the books are clean")
    assert json.loads((await figures("books", "--json")).out) == {
        "violations": [],
        "sums": [
            {"shop": "main", "rehearsal": False, "channel": "email", "state": "accepted", "messages": 2},
            {"shop": "main", "rehearsal": False, "channel": "email", "state": "failed", "messages": 1},
        ],
    }
    await busy_town.context.pool.execute("UPDATE cart SET answer = '' WHERE ref = 'c4'")
    books = await figures("books", "--all")
    assert books.code == 1
    assert "cart at rest with neither recovery nor reason: cart 4 of shop" in books.out
    assert lines(books.out)[-1] == "1 contradiction"


async def test_a_rehearsal_is_in_no_other_figure(make_town, make_buyer, beside):
    town = await make_town(rehearsing("rehearsal", "boss@shop.example"))
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await town.passes(hours=2)
    said = lines((await beside(town)("report")).out)
    first = said.index("Rehearsed recoveries, in no figure above")
    assert said[said.index("Recoveries") + 1] == said[said.index("Messages") + 1] == "  none"
    assert "  treated   0 of 0 recoveries, 0 persons" in said
    assert said[first + 2].split() == ["treated", "open", "1"]
    assert said[said.index("Rehearsed messages, to nobody but the test address") + 2].split() == [
        "email", "remind", "accepted", "1"
    ]  # fmt: skip


async def test_the_holdout_stands_beside_the_treated(make_town, make_buyer, beside):
    town = await make_town(holdout="50%")
    for number in range(4):
        town.context.chance = lambda _, number=number: 0.9 * (number % 2)
        await town.leaves_cart(f"c{number}", make_buyer(str(number)), "red")
    await town.passes(hours=2)
    await town.buys("o0", make_buyer("0"))
    said = lines((await beside(town)("report")).out)
    assert "  treated   0.0%: 0 of 2 recoveries, 2 persons" in said
    assert "  held out  50.0%: 1 of 2 recoveries, 2 persons" in said
