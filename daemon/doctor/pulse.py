"""The pulse: one list of reasons for /readyz, /metrics, `tillbell doctor` and the ping."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

import structlog
from aiohttp import ClientError, ClientSession, ClientTimeout

from daemon import metrics
from daemon.clock import machine_now, monotonic
from daemon.context import Context
from daemon.doctor.reason import Question, Reason
from daemon.doctor.signs import QUESTIONS
from daemon.logs import told
from daemon.store import clock
from daemon.store.database import is_transient

log = structlog.get_logger()

EVERY = 10.0
"""Seconds between two looks."""
SHARE = 100
"""A question rests this many times as long as it took."""
STALE = 60.0
"""Seconds after which a pulse that is not taken any more is a reason by itself."""
AT_MOST = 5.0
"""Seconds for the database to say what time it is."""
PING_EVERY = 60.0
PATIENCE = ClientTimeout(total=10)
AWAY = Reason("database", "PostgreSQL is out of reach", "nothing is claimed until it is back; hits go to the journal")


@dataclass(slots=True)
class Pulse:
    """One per process. Each question is asked when it is due again; between two looks the last answers hold."""

    context: Context
    questions: Sequence[Question] = QUESTIONS
    answers: dict[str, list[Reason]] = field(default_factory=dict)
    next_at: dict[str, float] = field(default_factory=dict)
    """Monotonic seconds before which a question is not asked again."""
    taken: float | None = None
    pinged: float | None = None

    async def take(self) -> list[Reason]:
        """Ask what is due to be asked; all reasons that hold. Never raises: what cannot be asked is a reason."""
        try:
            async with asyncio.timeout(AT_MOST):
                now = await clock.shop_now(self.context.pool)
        except Exception as error:
            self.answers["database"] = [AWAY if is_transient(error) else Reason("database", told(error))]
        else:
            self.answers.pop("database", None)
            for question in self.questions:
                if monotonic() >= self.next_at.get(question.about, 0):
                    began = monotonic()
                    self.answers[question.about] = await _asked(question, self.context, now)
                    self.next_at[question.about] = monotonic() + _rest(question, monotonic() - began)
        self.taken = monotonic()
        found = self.reasons()
        metrics.pulse_at.set(machine_now().timestamp())
        metrics.reasons.clear()
        for about, number in Counter(one.about for one in found if one.amiss).items():
            metrics.reasons.labels(about).set(number)
        return found

    def reasons(self) -> list[Reason]:
        """As of the last look, in the order of the questions."""
        return [one for answer in self.answers.values() for one in answer]

    def sentences(self) -> list[str]:
        """What is amiss, for /readyz."""
        stale = self.taken is not None and monotonic() - self.taken > STALE
        late = ["the pulse has not been taken for more than a minute"] if stale else []
        return late + [str(one) for one in self.reasons() if one.amiss]

    async def keep(self) -> None:
        """Until cancelled: look, say what is new, ping."""
        told: set[tuple[str, str]] = set()
        await asyncio.sleep(EVERY / 2)  # every part has its first heartbeat behind it
        async with ClientSession(timeout=PATIENCE) as session:
            while True:
                found = {(one.about, one.text) for one in await self.take() if one.amiss}
                for about in sorted({about for about, _ in found} - {about for about, _ in told}):
                    log.warning("pulse", about=about, because=[text for word, text in found if word == about])
                for about in sorted({about for about, _ in told} - {about for about, _ in found}):
                    log.info("pulse", about=about, again="well")
                told = found
                await self.ping(session)
                await asyncio.sleep(EVERY)

    async def ping(self, session: ClientSession) -> None:
        """Each minute, and only while nothing is amiss in the whole of this process."""
        url = self.context.settings.ping_url.get_secret_value()
        due = self.pinged is None or monotonic() - self.pinged >= PING_EVERY - EVERY / 2
        if not url or not due or any(reason for part in self.context.reasons for reason in part()):
            return
        self.pinged = monotonic()
        try:
            async with session.get(url, allow_redirects=False) as response:
                if response.status >= 300:
                    raise ClientError(f"status {response.status}")
        except (ClientError, OSError, TimeoutError) as error:
            metrics.pings_failed.inc()
            log.warning("pulse", ping=type(error).__name__)  # the address is a secret, and stands in the error's text


def _rest(question: Question, took: float) -> float:
    return max(question.every - EVERY / 2, SHARE * took) if question.every > EVERY else SHARE * took


async def _asked(question: Question, context: Context, now: datetime) -> list[Reason]:
    try:
        return await question.ask(context, now)
    except Exception as error:
        log.warning("pulse", about=question.about, problem=told(error), exc_info=not is_transient(error))
        if is_transient(error):
            return [AWAY]
        return [Reason(question.about, f"the question about {question.about} failed: {type(error).__name__}")]
