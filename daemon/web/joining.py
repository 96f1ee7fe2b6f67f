"""Asking to be written to: GET /join/{shop}/{form} shows the form, POST has a confirmation sent, or takes a code.

Whoever asks is told the same whether an address is known or not. Nothing counts before it is confirmed, by the link of
the mail or the code of the text; how often may be asked is limited by client and by address.
"""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from daemon.clock import monotonic
from daemon.flow import optin, persons
from daemon.flow.consents import Proof
from daemon.shops.base import Customer
from daemon.store.clock import shop_now
from daemon.store.database import is_transient
from daemon.web import pages
from daemon.web.edge import client_address, network_of, plain, user_agent
from daemon.web.pages import language
from daemon.web.quota import Quota
from daemon.web.state import STATE, State
from daemon.web.unsubscribe import UNREADABLE, house_of
from rules.optin import OptInWords

ASKED = web.AppKey("joining", Quota)
A_MINUTE = 30
"""What one network (/24, /64) may ask for. Memory of this process; the database limits further."""
LONGEST = 254
"""Characters of an address (RFC 5321 section 4.5.3.1)."""


@dataclass(frozen=True, slots=True)
class Form:
    """A form of a shop, and who is in front of it."""

    request: web.Request
    state: State
    shop_id: int
    name: str
    words: OptInWords

    @property
    def lang(self) -> str:
        house = house_of(self.state, self.shop_id)
        return language("", self.request.headers.get("Accept-Language", ""), house.locale)

    def client(self) -> str:
        return client_address(self.request, self.state.context.settings.trusted_proxies)

    def proof(self, source: str) -> Proof:
        request = self.request
        return Proof(
            source,
            wording=self.words.said(self.lang),
            source_url=request.headers.get("Origin", "")[:300],
            ip=self.client(),
            user_agent=user_agent(request),
        )

    def page(self, page: pages.JoinPage, status: int = 200, *, phone: str = "", wrong: bool = False) -> web.Response:
        values = {"quote": self.words.said(self.lang), "channel": self.words.channel, "phone": phone, "is_wrong": wrong}
        return pages.joining(self.request, page, house_of(self.state, self.shop_id), values, status=status)


async def show(request: web.Request) -> web.Response:
    """GET /join/{shop}/{form}. Looking changes nothing."""
    form = _addressed(request)
    return form.page("join") if form is not None else plain(404, "not found")


async def act(request: web.Request) -> web.Response:
    """POST /join/{shop}/{form} with `email`, or with `phone`, or with `phone` and `code`."""
    form = _addressed(request)
    if form is None:
        return plain(404, "not found")
    if request.app[ASKED].spent(network_of(form.client(), 24, 64), monotonic()):
        return form.page("join_slow", 429)
    try:
        told = await request.post()
    except UNREADABLE:
        return plain(400, "expected the form of the page")
    email, phone, code = (str(told.get(word, "")).strip()[:LONGEST] for word in ("email", "phone", "code"))
    try:
        if form.words.channel == "email":
            return await _by_email(form, email)
        number = persons.e164(phone, "", persons.home(form.state.context, form.shop_id)) or ""
        return await (_code(form, number, code) if code else _by_text(form, number))
    except Exception as error:
        if not is_transient(error):
            raise
        return pages.answer(request, "busy", "", house_of(form.state, form.shop_id), status=503)


def _addressed(request: web.Request) -> Form | None:
    state, name = request.app[STATE], request.match_info["shop"]
    shop, shop_id = state.context.keeper.book.shops.get(name), state.context.shop_ids.get(name)
    words = shop.opt_in.get(request.match_info["form"]) if shop is not None else None
    if shop_id is None or words is None:
        return None
    return Form(request, state, shop_id, request.match_info["form"], words)


async def _by_email(form: Form, email: str) -> web.Response:
    if not pages.looks_like_address(email):
        return form.page("join", 422)
    context = form.state.context
    asker = Customer(email=email, locale=form.lang)
    proof, now = form.proof(f"form {form.name}"), await shop_now(context.pool)
    answer = await optin.request(context, form.shop_id, asker, form.words.purposes, proof, now)
    return form.page("join_slow", 429) if answer == "too many" else form.page("join_email")


async def _by_text(form: Form, number: str) -> web.Response:
    """Only numbers that are known reach a limit, so a page that told of it would tell which are."""
    if not number:
        return form.page("join", 422)
    context = form.state.context
    proof, now = form.proof(f"form {form.name}"), await shop_now(context.pool)
    await optin.request_at(context, form.shop_id, number, form.words.purposes, proof, now)
    return form.page("join_sms", phone=number)


async def _code(form: Form, number: str, code: str) -> web.Response:
    """After five wrong ones the code of the text is worth nothing, whoever guessed."""
    found = "unknown"
    if number and code.isdecimal():
        found = await optin.by_code(form.state.context, form.shop_id, number, code, form.proof("code on the page"))
    if found in ("confirmed", "already"):
        return pages.answer(form.request, "opt_in_done", "", house_of(form.state, form.shop_id))
    return form.page("join_sms", 422, phone=number, wrong=True)
