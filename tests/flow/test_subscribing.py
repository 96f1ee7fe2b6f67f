"""Browsers that take pushes: kept for a person, moved, limited, forgotten."""

from datetime import timedelta
from types import SimpleNamespace

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from channels.webpush_bytes import CURVE, made, signer, text64, written
from daemon.context import address_hmac
from daemon.flow import dossier, forget, merging
from daemon.flow.subscriptions import MOST, BadSubscription, Wish, subscribe, unsubscribe
from daemon.store import subscriptions

AUTH = text64(bytes(range(16)))
KEY = text64(written(ec.derive_private_key(7, CURVE).public_key()))
HOST = "https://fcm.googleapis.com/fcm/send/"


def wish(name: str = "a", **more: str) -> Wish:
    return Wish(**{"endpoint": HOST + name, "p256dh": KEY, "auth": AUTH, **more})


@pytest.fixture
async def ada(town, make_buyer):
    await town.leaves_cart("c1", make_buyer("ada"), "boots")
    return await town.value("SELECT id FROM person WHERE customer_ref = 'ada'")


async def browsers(town, person):
    return [one.endpoint.removeprefix(HOST) for one in await subscriptions.of_person(town.context.pool, 1, person)]


async def test_browser_that_subscribes_twice_is_one_with_its_newest_keys(town, ada):
    now = await town.now()
    first = await subscribe(town.context, town.shop_id, ada, wish(device="mobile"), now)
    other = text64(written(ec.derive_private_key(8, CURVE).public_key()))
    again_ = await subscribe(town.context, town.shop_id, ada, wish(p256dh=other), now + timedelta(days=1))
    [one] = await subscriptions.of_person(town.context.pool, town.shop_id, ada)
    assert first == again_ == one.id
    assert (one.p256dh, one.device) == (other, "mobile")
    assert (one.since, one.seen_at) == (now, now + timedelta(days=1))


async def test_consent_is_what_was_said_yes_to_and_a_renewal_is_none(town, ada):
    await subscribe(town.context, town.shop_id, ada, wish(), await town.now())
    assert await town.fetch("SELECT FROM consent WHERE purpose = 'push_mkt'") == []
    await subscribe(town.context, town.shop_id, ada, wish(wording="May we tell you?"), await town.now())
    [row] = await town.fetch(
        "SELECT state, source, evidence, text FROM consent k JOIN wording w ON w.sha256 = k.wording_sha256"
        " WHERE purpose = 'push_mkt'"
    )
    assert tuple(row) == ("confirmed", "onsite", "subscription 1", "May we tell you?")


async def test_browser_belongs_to_whoever_uses_it_now(town, ada, make_buyer):
    await town.leaves_cart("c2", make_buyer("bob"), "boots")
    bob = await town.value("SELECT id FROM person WHERE customer_ref = 'bob'")
    await subscribe(town.context, town.shop_id, ada, wish(), await town.now())
    await subscribe(town.context, town.shop_id, bob, wish(), await town.now())
    assert (await browsers(town, ada), await browsers(town, bob)) == ([], ["a"])
    assert await town.value("SELECT person_id FROM identity WHERE kind = 'push'") == bob


async def test_of_many_browsers_those_seen_last_stay(town, ada):
    now = await town.now()
    for number in range(MOST + 3):
        await subscribe(town.context, town.shop_id, ada, wish(f"{number:02}"), now + timedelta(minutes=number))
    assert await browsers(town, ada) == [f"{number:02}" for number in range(MOST + 2, 2, -1)]
    assert await town.value("SELECT count(*) FROM identity WHERE kind = 'push'") == MOST


async def test_browser_that_unsubscribes_is_gone_at_once(town, ada):
    await subscribe(town.context, town.shop_id, ada, wish(), await town.now())
    before = await town.value("SELECT facts_no FROM person WHERE id = $1", ada)
    assert await unsubscribe(town.context, town.shop_id, HOST + "a")
    assert not await unsubscribe(town.context, town.shop_id, HOST + "a")
    assert await browsers(town, ada) == []
    assert await town.value("SELECT count(*) FROM identity WHERE kind = 'push'") == 0
    assert await town.value("SELECT facts_no FROM person WHERE id = $1", ada) == before + 1


@pytest.mark.parametrize(
    ("change", "because"),
    [
        ({"endpoint": "https://push.shop.example/x"}, "not one of those allowed"),
        ({"endpoint": "http://fcm.googleapis.com/x"}, "only https"),
        ({"p256dh": "AAAA"}, "65 bytes"),
        ({"p256dh": text64(b"\x04" + bytes(64))}, "not a point"),
        ({"auth": "AAAA"}, "16 bytes"),
        ({"auth": "not base64!"}, "base64url"),
    ],
)
async def test_what_could_never_be_pushed_to_is_refused(change, because):
    house = SimpleNamespace(settings=SimpleNamespace(push_hosts=()))
    with pytest.raises(BadSubscription, match=because):
        await subscribe(house, 1, 1, wish(**change), None)


async def test_browsers_are_shown_merged_and_erased_with_their_person(town, ada, make_buyer):
    await town.leaves_cart("c2", make_buyer("bob"), "boots")
    bob = await town.value("SELECT id FROM person WHERE customer_ref = 'bob'")
    await subscribe(town.context, town.shop_id, ada, wish("a"), await town.now())
    await subscribe(town.context, town.shop_id, bob, wish("b"), await town.now())
    now = await town.now()
    await merging.by_hand(town.context.pool, town.shop_id, ada, bob, 0.1, now)
    told = await dossier.held(town.context.pool, town.shop_id, ada)
    assert {one["endpoint"] for one in told["subscription"]} == {HOST + "a", HOST + "b"}
    assert {one["value"] for one in told["identity"] if one["kind"] == "push"} == {
        address_hmac(town.context.pepper, "push", HOST + name).hex() for name in "ab"
    }
    await dossier.erase(town.context.pool, town.context.pepper, town.shop_id, ada, now)
    told = await dossier.held(town.context.pool, town.shop_id, ada)
    assert told["subscription"] == []
    assert not [one for one in told["identity"] if one["kind"] == "push"]


async def test_browser_not_seen_for_long_is_forgotten(town, ada):
    now = await town.now()
    await subscribe(town.context, town.shop_id, ada, wish("old"), now - timedelta(days=401))
    await subscribe(town.context, town.shop_id, ada, wish("new"), now)
    await forget.what_is_old(town.context, town.shop_id, {}, now)
    assert await browsers(town, ada) == ["new"]
    assert await town.value("SELECT count(*) FROM identity WHERE kind = 'push'") == 1


def test_new_keys_are_keys_and_each_is_another():
    keys = {signer(made()).public for _ in range(3)}
    assert len(keys) == 3
