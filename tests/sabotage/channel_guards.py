"""Guards of what leaves by text, web push, ad audience and on the shop's own pages, and of the consent to it."""

from __future__ import annotations

from tests.sabotage.guard import Edit, guard

OUTBOUND = "channels/outbound.py"
TEXTS = "tests/flow/test_texts.py"
LOCKS = "tests/flow/faults/test_locks.py"

CHANNEL_GUARDS = (
    guard(
        "what Twilio tells needs its signature",
        f"{TEXTS}::test_what_twilio_tells_of_a_text_is_believed_only_with_its_signature",
        "channels/twilio_events.py",
        "    if not is_signed(token, callback.url, params, signature, settings):\n",
        "    if False:\n",
    ),
    guard(
        "a STOP silences every channel",
        f"{TEXTS}::test_stop_is_silence_everywhere_and_start_lifts_it",
        "daemon/flow/callbacks.py",
        '        await suppressions.add(db, shop_id, "any", [Entry(hmac, "unsubscribed", now)], source)\n',
        "",
    ),
    guard(
        "a text is not delivered after the lawful hours",
        f"{TEXTS}::test_validity_ends_with_the_lawful_hours",
        "daemon/flow/texts.py",
        'until = deliverable_until(policy, case.facts, "sms", at, claim.not_after or at + longest)',
        "until = at + longest",
    ),
    guard(
        "texts go to the countries that the shop writes to",
        "tests/rules/test_phones.py::test_a_step_is_left_out_for_a_number_that_no_text_goes_to",
        "rules/questions.py",
        '    if channel == "sms" and (why := barred(number, facts.texts_to)):\n',
        '    if False and (why := ""):\n',
    ),
    guard(
        "what texts may cost is counted under the shop's lock",
        f"{LOCKS}::test_a_claim_of_texts_waits_until_another_has_said_what_it_spends",
        "daemon/flow/budgets.py",
        '    await allowances.take(db, channel, [f"budget {shop_id}"])\n',
        "",
    ),
    guard(
        "what texts may cost is not exceeded",
        "tests/flow/faults/test_budget_race.py::test_claims_at_once_spend_no_more_than_the_budget",
        "daemon/flow/budgets.py",
        "    if budget.day is not None and day_sum > budget.day.amount:\n",
        "    if False:\n",
    ),
    guard(
        "a budget for texts that is spent is seen by the rules",
        "tests/flow/test_budgets.py::test_larger_budget_lets_go_what_waited_for_the_next_day",
        "daemon/flow/decide.py",
        "    budget = await budgets.left(context, shop_id, now)\n",
        "    budget = None\n",
    ),
    guard(
        "a STOP is for those who text from where it was sent to",
        "tests/flow/test_whose_stop.py::test_stop_silences_all_who_write_from_there_and_nobody_else",
        "daemon/flow/callbacks.py",
        "        shops = [token.shop_id] if token else _meant(context, event)\n",
        "        shops = [token.shop_id] if token else [*context.shop_ids.values()]\n",
    ),
    guard(
        "texts that carriers do not let through are paused",
        "tests/flow/test_filtered_texts.py::test_filtered_texts_stop_the_texts_until_somebody_resumes",
        "daemon/flow/callbacks.py",
        "        await reputation.judge_sender(context, shop_id, channel, now)\n",
        "        pass\n",
    ),
    guard(
        "a text that Twilio has is not sent again",
        "tests/flow/test_unknown_texts.py"
        "::test_every_ambiguous_answer_is_settled_by_the_list_and_nothing_goes_out_twice",
        "channels/sms.py",
        "            if needle in body and SID.fullmatch(sid):\n",
        "            if False:\n",
    ),
    guard(
        "what a provider does not have goes out once more, and never again",
        "tests/flow/test_unknown_texts.py::test_what_is_absent_three_times_goes_out_once_more_and_never_again",
        "daemon/store/reconcile.sql",
        "CASE WHEN m.sent_again THEN 'given_up' WHEN",
        "CASE WHEN false THEN 'given_up' WHEN",
    ),
    guard(
        "a push that nobody answered goes to no other browser",
        "tests/flow/test_web_push.py::test_push_without_an_answer_is_never_shown_by_another_browser",
        "daemon/flow/pushes.py",
        " if _hmac(context, one.endpoint) == to]) if to else case\n",
        "]) if to else case\n",
        Edit(
            "daemon/flow/reconcile.py",
            "        if not address or (went_to and went_to != address_hmac(context.pepper, kind, address).hex()):\n",
            "        if not address:\n",
        ),
    ),
    guard(
        "a request over HTTP asks once more right before its first byte",
        "tests/channels/test_contract.py"
        "::test_each_message_is_asked_about_for_itself_and_again_before_its_last_byte[sms]",
        "channels/http.py",
        "        if not open_:\n",
        "        if False:\n",
    ),
    guard(
        "a push goes to no name of the inside",
        "tests/channels/test_outbound.py::test_no_form_of_an_address_reaches_the_inside",
        OUTBOUND,
        '        if host not in self.inside and not all(is_public(one["host"]) for one in found):\n',
        "        if False:\n",
    ),
    guard(
        "a push goes to no address of the inside",
        "tests/channels/test_outbound.py::test_address_that_is_not_public_is_refused_at_the_socket_too[127.0.0.1]",
        OUTBOUND,
        "        if not is_public(host) and not self.is_named(host, port):\n",
        "        if False:\n",
    ),
    guard(
        "a push follows no redirect",
        "tests/channels/test_webpush.py::test_each_answer_has_its_meaning[307-failed-traits3]",
        OUTBOUND,
        "allow_redirects=False, skip_auto_headers",
        "allow_redirects=True, skip_auto_headers",
    ),
    guard(
        "a browser that is gone is forgotten",
        "tests/flow/test_web_push.py::test_when_the_last_browser_is_gone_the_push_failed_and_why_says_so",
        "channels/webpush.py",
        "raise Refused(GONE[status], code=code, gone=True)",
        "raise Refused(GONE[status], code=code)",
    ),
    guard(
        "no list of fewer than a hundred is handed over",
        "tests/flow/test_audiences.py::test_list_of_99_is_not_uploaded_and_removals_always_go",
        "daemon/flow/audiences.py",
        "        if not named or not await self._enough([keys for _, keys in named]):\n",
        "        if not named:\n",
    ),
    guard(
        "an audience's control group stays out",
        "tests/flow/test_audiences.py::test_control_group_stays_out_and_is_counted",
        "daemon/flow/audiences.py",
        "    control = words is not None and stays_out(",
        "    control = False and stays_out(",
    ),
    guard(
        "a badge needs the shop's signature",
        "tests/daemon/web/test_badges.py::test_what_the_shop_did_not_say_is_not[signed by somebody else]",
        "daemon/web/badges.py",
        "    if not any(right):\n",
        "    if False:\n",
    ),
    guard(
        "looking at what is to be confirmed confirms nothing",
        "tests/flow/test_double_opt_in.py::test_a_shop_asks_by_an_event_and_the_page_confirms",
        "daemon/web/optin.py",
        "            found = await optins.of_token(state.context.pool, shop_id, optin.token_hash(token))\n",
        '            _, found = await optin.confirm(state.context, token, Proof("looked"))\n',
    ),
    guard(
        "nobody is asked for a consent more than three times a day",
        "tests/flow/test_double_opt_in.py::test_a_hundred_clients_bring_one_address_three_mails_a_day_at_most",
        "daemon/flow/optin.py",
        "    if lately.today >= A_DAY:\n",
        "    if False:\n",
    ),
    guard(
        "a withdrawal waits for the claim's lock on the person",
        f"{LOCKS}::test_a_withdrawal_waits_for_a_claim_that_has_begun",
        "daemon/flow/consents.py",
        "    async def once(db: Connection) -> None:\n        await persons.lock(db, shop_id, [person])\n",
        "    async def once(db: Connection) -> None:\n",
        Edit(
            "daemon/flow/consents.py",
            "    await consents.add(db, shop_id, rows, now)\n    await persons.raise_facts(db, shop_id, [person])\n",
            "    await consents.add(db, shop_id, rows, now)\n",
        ),
    ),
    guard(
        "of a consent the newest word counts, in the claim too",
        f"{LOCKS}::test_who_withdrew_is_not_claimed",
        "daemon/store/facts.sql",
        "ORDER BY k.purpose, k.id DESC) AS n) AS consents,",
        "ORDER BY k.purpose, k.id) AS n) AS consents,",
    ),
    guard(
        "what went to either counts for both who are one",
        "tests/flow/test_merging.py::test_a_mail_to_either_counts_for_both_while_they_are_one_and_after",
        "daemon/store/facts.sql",
        "            WHERE q.shop_id = r.shop_id AND q.person_id = r.person_id\n",
        "            WHERE false AND q.person_id = r.person_id\n",
    ),
)
