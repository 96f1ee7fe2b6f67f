"""What every part of a process shares."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import blake2b
from pathlib import Path
from random import SystemRandom
from typing import TYPE_CHECKING, Any

from channels.base import Channel
from daemon.clock import monotonic
from daemon.mail import Template
from daemon.settings import Settings
from daemon.shops.base import Shop
from daemon.store.books import Watch
from daemon.store.database import DISK_FULL, Pool, is_transient
from daemon.tokens import Secrets

if TYPE_CHECKING:
    from daemon.book import Keeper
    from daemon.mail.texts import Voices
    from rules.audiences import AudienceWords
    from rules.shops import ShopWords


async def _always() -> bool:
    return True


@dataclass(slots=True)
class Context:
    """One per process. `shop_ids` and `shops` are by name, as in shops.yaml; `keeper.book` is the newest good book."""

    settings: Settings
    pool: Pool
    secrets: Secrets
    pepper: bytes = field(repr=False)
    data_dir: Path
    keeper: Keeper
    process: str
    """Name of this process in leases and heartbeats; never reused."""
    shop_ids: dict[str, int] = field(default_factory=dict)
    former: dict[str, int] = field(default_factory=dict)
    """Shops that were taken out of shops.yaml: what has begun there is brought to its end, and nothing new begins."""
    words: dict[int, ShopWords] = field(default_factory=dict)
    """What shops.yaml said last of each shop that this process has served, by number; see `words_of`."""
    audiences: dict[int, dict[str, AudienceWords]] = field(default_factory=dict)
    """How each ad audience is reached, those included that shops.yaml no longer has: somebody may still be in them."""
    shops: dict[str, Shop] = field(default_factory=dict)
    channels: Mapping[str, Channel] = field(default_factory=dict)
    templates: Mapping[str, Template] = field(default_factory=dict)
    voices: Voices = field(default_factory=dict)
    """What text messages say, by language tag."""
    deliveries: dict[tuple[int, str], Any] = field(default_factory=dict)
    """What is being sent, by shop and channel; kept by daemon.flow.deliver."""
    paces: dict[str, Any] = field(default_factory=dict)
    """What this process may send of each channel's rate; kept by daemon.flow.pace."""
    stopping: asyncio.Event = field(default_factory=asyncio.Event)
    chance: Callable[[str], float] = field(default=lambda _: SystemRandom().random())
    """The number in [0, 1) that a person draws at birth; the argument says who, for a repeatable demo."""
    idle: Callable[[], bool] = field(default=lambda: True)
    """Whether nothing is being done in this process right now; set by whoever does the work."""
    may_claim: Callable[[], Awaitable[bool]] = field(default=_always)
    """Whether anything may be claimed in this process right now; set by whoever keeps the vigil."""
    full_at: float | None = None
    """Machine time (monotonic) when the database last had no room."""
    ends_because: str = ""
    """Why this process ends by itself, for its exit; see `give_up`."""
    cut_off: bool = False
    """The database was out of reach for this process; set by whoever noticed, cleared by the next claim."""
    back_since: datetime | None = None
    """Machine time of the first answer after that."""
    rung: set[tuple[str, int]] = field(default_factory=set)
    """Work (name, shop_id) that this process wants done at once; the bell takes it from here."""
    bell: asyncio.Event = field(default_factory=asyncio.Event)
    books: Watch = field(default_factory=Watch)
    """What this process has read of the books."""
    reasons: list[Callable[[], Iterable[str]]] = field(default_factory=list)
    """Each says, in sentences, why this process is degraded: /readyz shows them."""

    def ring(self, work: str, shop_id: int) -> None:
        """Ask for this work without waiting for the next tick. Losing a ring costs a tick, nothing else."""
        self.rung.add((work, shop_id))
        self.bell.set()

    def trouble(self, error: BaseException) -> None:
        """Note what an error says about the database."""
        self.cut_off = self.cut_off or is_transient(error)
        if getattr(error, "sqlstate", "") == DISK_FULL:
            self.full_at = monotonic()

    def give_up(self, because: str) -> None:
        """This process cannot go on: it stops in order and ends with this sentence."""
        self.ends_because = self.ends_because or because
        self.stopping.set()
        self.bell.set()

    def shop_name(self, shop_id: int) -> str:
        """The name in shops.yaml; raises KeyError for a shop that is no longer there."""
        for name, number in self.shop_ids.items():
            if number == shop_id:
                return name
        raise KeyError(shop_id)

    def shop_called(self, shop_id: int) -> str:
        """What to call it in a log line, also when it is no longer there."""
        names = {number: name for name, number in (self.former | self.shop_ids).items()}
        return names.get(shop_id, f"number {shop_id}")

    def words_of(self, shop_id: int) -> ShopWords:
        """Also of a shop that was taken out of shops.yaml while this process served it; raises KeyError for one that
        had gone before."""
        return self.keeper.book.shops.get(self.shop_called(shop_id)) or self.words[shop_id]

    def knows(self, shop_id: int) -> bool:
        """Whether what comes back of this shop's messages has its effect: also when it is no longer in shops.yaml."""
        return shop_id in self.shop_ids.values() or shop_id in self.former.values()


def address_hmac(pepper: bytes, kind: str, address: str) -> bytes:
    """Keyed hash of a normalised address: what suppression keeps, and what outlives the person."""
    return blake2b(f"{kind}:{address.strip().casefold()}".encode(), digest_size=20, key=pepper[:64]).digest()
