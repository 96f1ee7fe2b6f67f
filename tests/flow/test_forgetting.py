"""What may no longer be kept is forgotten; that it happened stays."""

from __future__ import annotations

from datetime import timedelta


async def test_texts_and_user_agents_are_forgotten_in_time(make_town, make_buyer, links_of):
    town = await make_town(keep_content=timedelta(days=5), keep_hits=timedelta(microseconds=1))
    await town.leaves_cart("c1", make_buyer("1"), "red")
    await town.passes(hours=2)
    [mail] = town.letters.of("1@example.org")
    pixel = f"{town.public}/o/{links_of(mail)['o'][0]}.gif"
    async with town.http.get(pixel, headers={"User-Agent": "Thunderbird"}):
        pass
    await town.passes(days=3)
    assert await town.value("SELECT count(*) FROM message WHERE content IS NOT NULL") == 3
    assert [tuple(row) for row in await town.fetch("SELECT kind, user_agent, ip_net FROM event")] == [
        ("opened", "", "")
    ]
    await town.passes(days=6)
    assert await town.value("SELECT count(*) FROM message WHERE content IS NOT NULL") == 0
    assert await town.value("SELECT count(*) FROM message WHERE state = 'accepted'") == 3
    await town.books_are_clean()
