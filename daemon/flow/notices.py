"""What a step's notice on the site is made of: words in every language, and where it leads.

No name and no line of the cart: whoever sits at the browser later sees no more of it than that there is a cart.
"""

from __future__ import annotations

from channels.base import Nothing
from daemon.context import Context
from daemon.flow import mails
from daemon.flow.mails import Wares
from daemon.mail import MailError, NothingToShow
from daemon.settings import Settings
from daemon.store.facts import Case
from daemon.store.messages import Claim, Prepared, ToPrepare
from rules.notices import said
from rules.onsite import About, NoticeWords
from rules.shops import ShopWords


def prepare(context: Context, shop_id: int, one: ToPrepare, case: Case, wares: Wares) -> Prepared:
    """Raises MailError, or NothingToShow when no line is left that could be bought."""
    step = wares.policy.step(one.step)
    if step is None:
        raise MailError(f"the policy has no step {one.step}")
    shop = context.keeper.book.shops[context.shop_name(shop_id)]
    if shop.script is None:
        raise MailError("the script is switched off (onsite in shops.yaml)")
    lines = mails.mail_lines(case.lines, wares.products)
    if all(line.in_stock is False for line in lines):
        raise NothingToShow("nothing of the cart can be bought any more")
    words = step.notice or NoticeWords()
    about: About = "leave" if words.when == "leaves" else "remind"
    content = {
        "texts": said(about, shop.shown_as, shop.script, words),
        "when": words.when,
        "url": case.recovery_url or shop.cart_page or shop.url,
        "locale": case.locale or shop.locale,
        "policy": case.policy_name,
    }
    return Prepared(id=one.id, content=content, tracked=False, facts_no=case.facts_no, links=[])


def composed(context: Context, shop_id: int, claim: Claim, case: Case) -> Nothing:
    return Nothing()


def address(context: Context, shop_id: int, case: Case, *, rehearsal: bool) -> str:
    """The visitor seen last; a rehearsal hangs nowhere, and is accepted all the same."""
    return "rehearsal" if rehearsal else case.facts.person.addresses.get("onsite", "")


def unable(shop: ShopWords, settings: Settings) -> str:
    if shop.onsite is None:
        return "its pages need the script: onsite in shops.yaml, with a key"
    return "" if shop.onsite.on else "the script is switched off: onsite.on in shops.yaml is false"
