"""Ad audiences: accepted steps make members, whoever must not be one any more is out at once, and the platforms are
told the difference. What is said may be said again, so whatever a call came to, the next run mends it."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from channels.ads.base import Keys, Part, Platform, Reach
from channels.base import NotSent, Unclear
from daemon import metrics
from daemon.context import Context
from daemon.flow import platforms
from daemon.logs import told
from daemon.store import members, work
from daemon.store.database import Connection, Pool, again
from daemon.store.members import Actual, Asked, Joining, Waiting
from rules.audiences import AudienceWords, stays_out
from rules.shops import ShopWords

log = structlog.get_logger()

EVERY = timedelta(minutes=4)
"""Shop time. Purchases and withdrawals ring; this is for what nobody rings for."""
LEASE = timedelta(minutes=5)
"""Machine time, renewed before each call: above the longest that a call may take."""
MOST = 500
IN_A_RUN = 50_000
"""People of one audience that a run speaks of, each way."""
KEPT = timedelta(days=400)
"""How long it is known who was a member, for the comparison with the control group."""
PATIENCE = timedelta(days=1)
"""A request that is still being worked off after that is made anew."""
LEFT_IN = (
    "shops.yaml does not have it any more, and {people} people are still in it; put it back, and they are taken out, "
    "or delete it at the platform, then `tillbell audience drop {audience} --shop {shop} --forget`"
)
TRIES = 3
"""So often somebody is added whom the platform takes only in part; then they count as in, as far as it can."""


async def sync(context: Context, shop_id: int, now: datetime) -> int:
    """One look: how many people joined, left, or were told of. Raises nothing of a platform: its audience rests. What
    is no longer in shops.yaml is emptied, as long as this process knows how."""
    name = context.shop_called(shop_id)
    if await work.take(context.pool, shop_id, "audiences", context.process, LEASE) is None:
        return 0
    try:
        await work.put_off(context.pool, shop_id, "audiences", context.process, now + EVERY)
        told_of = await _sync(context, shop_id, name, now)
        await work.done(context.pool, shop_id, "audiences", context.process, {}, None, now)
    except Exception:
        await work.bring_forward(context.pool, shop_id, "audiences", now)
        raise
    finally:
        await work.give_back(context.pool, shop_id, "audiences", context.process)
    return told_of


async def _sync(context: Context, shop_id: int, name: str, now: datetime) -> int:
    shop = context.keeper.book.shops.get(name)
    reached = {**context.audiences.get(shop_id, {}), **(shop.audiences if shop else {})}
    if not reached and not await members.is_anything_left(context.pool, shop_id):
        return 0
    joined, left = await settle_wishes(context.pool, shop_id, shop, now)
    pushed = 0
    for audience, words in reached.items():
        if context.stopping.is_set():
            break
        pushed += await _contained(context, shop_id, audience, words, now)
    for audience, people in (await members.out_of_reach(context.pool, shop_id, list(reached))).items():
        text = LEFT_IN.format(people=people, audience=audience, shop=name)
        await members.trouble(context.pool, shop_id, audience, text, timedelta(), now)
    await members.forget(context.pool, shop_id, now - KEPT)
    for size in await members.sizes(context.pool, shop_id):
        for kind in ("wanted", "actual"):
            metrics.audience_people.labels(name, size.audience, kind).set(getattr(size, kind))
    if joined or left or pushed:
        log.info("recorded", shop=name, audiences=len(reached), joined=joined, left=left, told=pushed)
    return joined + left + pushed


async def settle_wishes(pool: Pool, shop_id: int, shop: ShopWords | None, now: datetime) -> tuple[int, int]:
    """Who is wanted, from what happened since: (joined, left); nobody in a shop that is None. Nothing leaves the
    house."""
    joined = 0
    while shop is not None and (found := await again(pool, lambda db: _join(db, shop_id, shop))):
        joined += found
    known, holdout = (list(shop.audiences), shop.holdout) if shop else ([], 0.0)
    live = shop is None or shop.mode == "live"  # with none, the reason is that it is gone
    gone = await members.leave(pool, shop_id, known, holdout, now, live=live)
    for audience, because, people in gone:
        log.info("stopped", shop_id=shop_id, audience=audience, because=because, people=people)
        metrics.audience_left.labels(because).inc(people)
    return joined, sum(people for _, _, people in gone)


async def _join(db: Connection, shop_id: int, shop: ShopWords) -> int:
    news = await members.news(db, shop_id, MOST)
    if news:
        await members.join(db, shop_id, [_joining(one, shop.audiences) for one in news])
    return len(news)


def _joining(one: members.News, audiences: Mapping[str, AudienceWords]) -> Joining:
    words = audiences.get(one.audience or "")
    control = words is not None and stays_out(one.audience or "", one.split_key, words.control)
    until = None if one.seconds is None else one.accepted_at + timedelta(seconds=one.seconds)
    return Joining(one.id, one.person_id, one.audience, one.claimed_at, until, control)


async def _contained(context: Context, shop_id: int, audience: str, words: AudienceWords, now: datetime) -> int:
    """One audience's trouble never touches another's."""
    if await members.resting(context.pool, shop_id, audience):
        return 0
    platform = platforms.opened(audience, words)
    run = Run(context, shop_id, audience, platform, now)
    try:
        return await run.all()
    except (NotSent, Unclear) as error:
        after = error.after if isinstance(error, NotSent) else None
        await members.trouble(context.pool, shop_id, audience, str(error), after, now)
        metrics.audience_calls.labels(platform.name, type(error).__name__).inc()
        log.warning("sent", shop_id=shop_id, audience=audience, code=error.code, problem=str(error))
        return 0
    except Exception as error:  # ours: the other audiences go on
        if not isinstance(error, (ValueError, TypeError, KeyError, AttributeError)):
            raise
        await members.trouble(context.pool, shop_id, audience, f"a fault of ours: {type(error).__name__}", None, now)
        log.error("sent", shop_id=shop_id, audience=audience, problem=told(error), exc_info=True)
        return 0
    finally:
        await platform.close()


@dataclass(slots=True)
class Run:
    """One audience, once. Who has to leave comes first."""

    context: Context
    shop_id: int
    audience: str
    platform: Platform
    now: datetime

    @property
    def pool(self) -> Pool:
        return self.context.pool

    async def all(self) -> int:
        """How many people the platform was told of."""
        await self._answers()
        await members.mark_stale(self.pool, self.shop_id, self.audience)
        leaving = await members.to_remove(self.pool, self.shop_id, self.audience, IN_A_RUN)
        told_of = await self._say("remove", [(one, one.keys or {}) for one in leaving])
        coming = await members.to_add(self.pool, self.shop_id, self.audience, IN_A_RUN)
        named = [(one, self.platform.normalise(Reach(one.email or "", one.phone or ""))) for one in coming]
        named = [(one, keys) for one, keys in named if keys]
        if not named or not await self._enough([keys for _, keys in named]):
            return told_of
        return told_of + await self._say("add", named)

    async def _enough(self, keys: Sequence[Keys]) -> bool:
        """Whether the audience would be so large that nobody in it can be made out."""
        known = await members.distinct_in(self.pool, self.shop_id, self.audience)
        new = len({tuple(sorted(one.items())) for one in keys})
        return known + new >= self.platform.minimum

    async def _answers(self) -> None:
        """What became of what was being worked off."""
        for one in await members.requests(self.pool, self.shop_id, self.audience):
            fate, because = await self.platform.look_up(one.request)
            if fate == "under_way" and one.age < PATIENCE:
                continue
            actual: Actual = "out" if one.asked == "remove" else "in"
            if fate != "done" and not (fate == "failed" and one.asked == "add" and one.tries >= TRIES):
                actual = "unsure"
            await members.answered(self.pool, self.shop_id, self.audience, one.request, actual)
            if because:
                await members.well(self.pool, self.shop_id, self.audience, self.now, because)

    async def _say(self, asked: Asked, rows: Sequence[tuple[Waiting, Keys]]) -> int:
        """In parts of one session; the first that fails ends it, and the next run opens another."""
        session, most, before = secrets.randbits(62) | 1, self.platform.most, 0
        parts = [rows[start : start + most] for start in range(0, len(rows), most)]
        for no, group in enumerate(parts, start=1):
            await work.take(self.pool, self.shop_id, "audiences", self.context.process, LEASE)
            begun = await members.begin(self.pool, self.shop_id, self.audience, asked, group)
            ours = [(one, keys) for one, keys in group if one.person_id in begun]
            if ours:
                part = Part(session, no, no == len(parts), len(rows), before)
                await self._call(asked, ours, part)
                before += len(ours)
        return before

    async def _call(self, asked: Asked, rows: Sequence[tuple[Waiting, Keys]], part: Part) -> None:
        people = [keys for _, keys in rows]
        say = self.platform.add if asked == "add" else self.platform.remove
        try:
            taken = await say(people, part)
        except Unclear as error:
            await self._settle(rows, "unsure")
            self._log(asked, rows, error.code)
            raise
        except NotSent:
            await self._settle(rows, None)
            raise
        if taken.request:
            numbers = [(one.person_id, one.op_seq + 1) for one, _ in rows]
            await members.ask_later(self.pool, self.shop_id, self.audience, numbers, taken.request)
        else:
            await self._settle(rows, "in" if asked == "add" else "out")
        await members.well(self.pool, self.shop_id, self.audience, self.now, taken.note)
        metrics.audience_calls.labels(self.platform.name, "taken").inc()
        self._log(asked, rows, "")

    async def _settle(self, rows: Sequence[tuple[Waiting, Keys]], actual: Actual | None) -> None:
        """None: as it was before, for the call was certainly not taken."""
        numbers = [(one.person_id, one.op_seq + 1, actual or one.actual) for one, _ in rows]
        await members.settle(self.pool, self.shop_id, self.audience, numbers)

    def _log(self, asked: Asked, rows: Sequence[tuple[Waiting, Keys]], code: str) -> None:
        log.info("sent", shop_id=self.shop_id, audience=self.audience, asked=asked, people=len(rows), code=code)
