"""The preference centre: GET /p/{token} shows what a person has chosen, POST changes it."""

from __future__ import annotations

import asyncio
from datetime import datetime

from aiohttp import web
from babel.dates import format_date

from daemon.flow import preferences
from daemon.flow.consents import Proof
from daemon.flow.preferences import PAUSES, PURPOSE_OF, SOURCE, Wishes
from daemon.store import consents
from daemon.store.clock import shop_now
from daemon.store.consents import Choice
from daemon.store.database import is_transient
from daemon.tokens import Token
from daemon.web import pages
from daemon.web.edge import READ_PATIENCE, client_address, plain, user_agent
from daemon.web.pages import WORDS, language
from daemon.web.state import STATE, State
from daemon.web.unsubscribe import UNREADABLE, broken, house_of


async def show(request: web.Request) -> web.Response:
    """GET /p/{token}. Looking changes nothing."""
    state = request.app[STATE]
    token = state.token(request, "prefer")
    if token is None:
        return broken(request, state)
    if token.rehearsal:
        return pages.answer(request, "rehearsal", "", house_of(state, token.shop_id))
    try:
        async with asyncio.timeout(READ_PATIENCE):
            choice = await consents.choice(state.context.pool, token.shop_id, token.message_id)
            now = await shop_now(state.context.pool)
    except Exception as error:
        if not is_transient(error):
            raise
        return _busy(request, state, token)
    return _page(request, state, token, choice, now)


async def act(request: web.Request) -> web.Response:
    """POST /p/{token} with the form of the page. What it does not understand changes nothing."""
    state = request.app[STATE]
    token = state.token(request, "prefer")
    if token is None:
        return broken(request, state)
    if token.rehearsal:
        return pages.answer(request, "rehearsal", "", house_of(state, token.shop_id))
    wishes = await read_wishes(request)
    if wishes is None:
        return plain(400, "expected the form of the page")
    if state.wavers(token, "choose") and not await only_leaves(state, token, wishes):
        return _busy(request, state, token, status=429)
    address = client_address(request, state.context.settings.trusted_proxies)
    proof = Proof(
        SOURCE, f"message {token.message_id}, button on the page", _wording(request, state, token), ip=address,
        user_agent=user_agent(request),
    )  # fmt: skip
    try:
        choice = await preferences.change(state.context, token.shop_id, token.message_id, wishes, proof)
        now = await shop_now(state.context.pool)
    except Exception as error:
        if not is_transient(error):
            raise
        return _busy(request, state, token)
    return _page(request, state, token, choice, now, done=True)


async def only_leaves(state: State, token: Token, wishes: Wishes) -> bool:
    """Whether they switch something off and nothing on: that never has to wait."""
    try:
        async with asyncio.timeout(READ_PATIENCE):
            choice = await consents.choice(state.context.pool, token.shop_id, token.message_id)
    except Exception as error:
        if not is_transient(error):
            raise
        return not wishes.on
    on = {channel for channel, is_on in preferences.channels(choice).items() if is_on} if choice else set()
    return wishes.on < on


async def read_wishes(request: web.Request) -> Wishes | None:
    """None for a body that is not the form."""
    try:
        form = await request.post()
    except UNREADABLE:
        return None
    often, pause, locale = (str(form.get(name, "")) for name in ("often", "pause", "locale"))
    known = pause in ("keep", "0", *map(str, PAUSES)) and often in ("normal", "fewer") and locale in ("", *WORDS)
    if form.get("do") != "choose" or not known:
        return None
    on = frozenset(str(name) for name in form.getall("on", ()))
    return Wishes(on & set(PURPOSE_OF), often == "fewer", None if pause == "keep" else int(pause), locale)


def _wording(request: web.Request, state: State, token: Token) -> str:
    """What stood beside the box that was ticked."""
    house = house_of(state, token.shop_id)
    words = WORDS[language("", request.headers.get("Accept-Language", ""), house.locale)]["preferences"]
    return f"{words['title']} {words['text'].replace('{shop}', house.name)} [x] {words['email']}"


def _page(
    request: web.Request, state: State, token: Token, choice: Choice | None, now: datetime, *, done: bool = False
) -> web.Response:
    house = house_of(state, token.shop_id)
    if choice is None:
        return pages.answer(request, "broken", "", house, status=404)
    locale = choice.chosen_locale or choice.locale
    until = choice.resting_until
    spoken = language(locale, request.headers.get("Accept-Language", ""), house.locale)
    kept = format_date(until.date(), "long", locale=spoken) if until is not None and until > now else ""
    values = {"done": done, "fewer_on": choice.fewer, "locale": choice.chosen_locale}
    return pages.preferences(request, locale, house, values, ways=preferences.channels(choice), kept=kept)


def _busy(request: web.Request, state: State, token: Token, *, status: int = 503) -> web.Response:
    return pages.answer(request, "busy", "", house_of(state, token.shop_id), status=status, action="again")
