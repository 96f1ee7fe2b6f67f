"""A phone is shared by families and typed by anybody: it makes nobody one, and what is said from it counts for all."""

from __future__ import annotations

from typing import Any

from daemon.flow import persons
from daemon.shops.base import Customer
from rules.reader import read_policy

PHONE = "+4915112345678"


async def kept(town: Any, customers: list[Customer]) -> list[int | None]:
    now = await town.now()
    async with town.context.pool.acquire() as db, db.transaction():
        return await persons.keep(town.context, db, town.shop_id, customers, now, 1)


async def test_two_who_share_a_phone_stay_two(town, make_buyer):
    await town.leaves_cart("c1", make_buyer("1", phone=PHONE, country="DE"), "red")
    await town.leaves_cart("c2", make_buyer("", email="guest@example.org", is_guest=True, phone="0151 12345678",
                                            country="DE"), "blue")  # fmt: skip
    assert await town.value("SELECT count(DISTINCT phone_hmac) FROM person") == 1
    await town.passes(hours=2)
    await town.buys("o1", make_buyer("1"))
    await town.passes(hours=23)
    assert await town.value("SELECT count(*) FROM person WHERE merged_into IS NULL") == 2
    assert await town.value("SELECT count(*) FROM merge") == 0
    assert await town.ends() == {"purchase": 1, "open": 1}, "what one of them buys is not what the other bought"
    assert [len(town.letters.of(f"{name}@example.org")) for name in ("1", "guest")] == [1, 2]


async def test_fifty_accounts_with_one_phone_and_spellings_of_one_address_get_no_discount(town):
    """They are fifty to us, for a shop may have them for fifty people; what would be worth the trouble is not given."""
    dots = ["adalovelace", "ada.lovelace", "a.dalovelace", "a.d.a.lovelace", "adalove.lace"]
    emails = [f"{dots[number % 5]}+{number}@gmail.com" for number in range(50)]
    told = [Customer(ref=str(number), email=email, phone=PHONE) for number, email in enumerate(emails)]
    found = await kept(town, told)
    assert len(set(found)) == 50
    assert await kept(town, [Customer(ref="", email=email.upper(), is_guest=True) for email in emails]) == found
    assert await town.value("SELECT count(*) FROM merge") == 0
    step = "steps: [{name: remind, send: email, after: 1h, incentive: {percent: 10}}]"
    [mistake] = read_policy(f"extends: default\n{step}\n", "main.yaml", "main").mistakes
    assert "cannot give incentives yet" in mistake.text
