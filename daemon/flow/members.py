"""What a step on the channel `audience` comes to: who becomes a member of which ad audience, and for how long."""

from __future__ import annotations

from channels.base import Content, Nothing
from daemon.context import Context
from daemon.flow.mails import Wares
from daemon.mail import MailError
from daemon.settings import Settings
from daemon.store.facts import Case
from daemon.store.messages import Claim, Prepared, ToPrepare
from rules.shops import ShopWords


def prepare(context: Context, shop_id: int, one: ToPrepare, case: Case, wares: Wares) -> Prepared:
    """Which audience, and until when as seconds from its acceptance. Raises MailError where the step is gone."""
    step = wares.policy.step(one.step)
    if step is None or not step.audience or step.stays is None:
        raise MailError(f"the step {one.step} names no audience any more")
    content = {"audience": step.audience, "for": int(step.stays.total_seconds()), "policy": case.policy_name}
    return Prepared(id=one.id, content=content, tracked=False, facts_no=case.facts_no, links=[])


def composed(context: Context, shop_id: int, claim: Claim, case: Case) -> Content:
    """Nothing: the row itself is what it is about."""
    return Nothing()


def address(context: Context, shop_id: int, case: Case, *, rehearsal: bool) -> str:
    """Whom it is about. A rehearsal takes the step and makes nobody a member."""
    return f"person {case.person_id}"


def unable(shop: ShopWords, settings: Settings) -> str:
    return "" if shop.audiences else "shops.yaml names no audiences for it"
