"""Which policy speaks for a recovery: the ladder it began with, under the law, caps, hours and stops of today."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta

from daemon.context import Context
from daemon.flow.subscriptions import push_key
from daemon.store import decisions
from daemon.store.database import Connection, Pool
from daemon.store.facts import ShopFacts
from rules.caps import largest, reach
from rules.policy import Policy, with_newest

LEAST_HORIZON = timedelta(days=1)
LEAST_COUNTED = 200
CHANNELS = 5
"""A cap on one channel is met by messages that may stand behind those of all the others."""


@dataclass(frozen=True, slots=True)
class Policies:
    """Of one shop: the newest by name, and those that open recoveries began with by hash."""

    newest: dict[str, Policy]
    began: dict[str, Policy]

    def of(self, name: str, hash_: str) -> Policy:
        """The one that decides for a recovery that began with this hash."""
        newest = self.newest.get(name)
        if newest is not None and newest.hash == hash_:
            return newest
        return with_newest(self.began[hash_], newest)


async def of_shop(context: Context, db: Connection | Pool, shop_id: int, hashes: Iterable[str]) -> Policies:
    """The policies that these hashes need; at most one query, and none as long as no file has changed."""
    newest = {
        policy.name: policy for policy in context.keeper.book.policies_by_shop.get(context.shop_name(shop_id), ())
    }
    missing = set(hashes) - {policy.hash for policy in newest.values()}
    stored = await decisions.policies(db, shop_id, sorted(missing)) if missing else {}
    return Policies(newest, {hash_: Policy.from_json(body) for hash_, body in stored.items()})


def shop_facts(context: Context, shop_id: int, now: datetime) -> ShopFacts:
    """What the rules are told of the shop itself."""
    shop = context.words_of(shop_id)
    found = context.keeper.book.policies_by_shop.get(context.shop_called(shop_id), ())
    longest = max([reach(policy) for policy in found], default=LEAST_HORIZON)
    return ShopFacts(
        zone=shop.zone,
        notice_since=shop.notice_since,
        horizon=now - max(longest, LEAST_HORIZON),
        most=max([LEAST_COUNTED, *(CHANNELS * largest(policy) for policy in found)]),
        push_key=push_key(context),
        texts_to=frozenset(shop.sms.countries or [shop.country] * bool(shop.country)),
    )
