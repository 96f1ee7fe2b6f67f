"""Guards of what shops and rule files tell, of what comes back by mail, and of templates."""

from __future__ import annotations

from tests.sabotage.guard import guard

CONSENTS = "daemon/flow/consents.py"
ENROLLED = "tests/daemon/store/test_enrolment.py"
ENROLMENT = "daemon/store/enrolment.sql"
LOOKING = "tests/flow/test_looking.py"
MAILED = "daemon/flow/post.py"
WORDS = "tests/flow/test_words_of_the_shop.py::test_what_counts"
REPORTS = "tests/flow/test_reports.py"

SHOP_GUARDS = (
    guard(
        "who bought is not taken up",
        f"{ENROLLED}::test_order_decides[bought since]",
        ENROLMENT,
        "            WHEN k.became_order OR k.bought_at >= k.changed_at THEN 'no: bought'\n",
        "",
    ),
    guard(
        "a recovery only after the cool-down of the last one",
        "tests/flow/test_stopping.py::test_a_second_recovery_only_after_the_cool_down",
        ENROLMENT,
        "            WHEN k.last_started_at + t.again_after > :now THEN 'cooling'\n",
        "",
    ),
    guard(
        "a cart that is found too late is left alone",
        f"{ENROLLED}::test_answer[an old cart]",
        ENROLMENT,
        "            WHEN k.changed_at + t.not_older_than < :now THEN 'no: found too late'\n",
        "",
    ),
    guard(
        "what lies in a shop at the first look is left alone",
        f"{LOOKING}::test_old_baskets_get_no_mail[eight]",
        "daemon/flow/keep.py",
        "    baseline = look.first and exact is None\n",
        "    baseline = False\n",
    ),
    guard(
        "an empty answer of a shop ends nothing",
        f"{LOOKING}::test_an_empty_answer_once_ends_nothing",
        "daemon/flow/ingest.py",
        "    return lost > LOSS_COUNT and lost > LOSS_SHARE * before\n",
        "    return False\n",
    ),
    guard(
        "the shop is asked for new orders right before a claim",
        f"{LOOKING}::test_a_purchase_that_nobody_told_us_of_is_found_before_the_claim",
        "daemon/flow/shop_orders.py",
        "    if Capability.FIND_ORDERS not in shop.capabilities():\n",
        "    if True:\n",
    ),
    guard(
        "while the shop is silent about orders, messages wait",
        "tests/flow/test_before_it_leaves.py::test_while_the_shop_is_silent_messages_wait_and_then_go",
        "daemon/flow/shop_orders.py",
        "    if poll is None or poll.last_good_at is None or now - poll.last_good_at > SILENCE:\n",
        "    if False:\n",
    ),
    guard(
        "only whom the shop was asked about passes",
        "tests/flow/test_before_it_leaves.py::test_only_whom_the_shop_was_asked_about_may_pass",
        "daemon/flow/deliver.py",
        "messages.due_people(db, shop_id, channel, now, most, looked_for)\n",
        "messages.due_people(db, shop_id, channel, now, most, None)\n",
    ),
    guard(
        "a consent without its proof is none",
        f"{WORDS}[a consent without its proof is none]",
        CONSENTS,
        '    state = "hint" if hint.state == "confirmed" and not hint.evidence else hint.state\n',
        "    state = hint.state\n",
    ),
    guard(
        "an old proof does not undo a withdrawal",
        f"{WORDS}[an undated proof undoes no withdrawal]",
        CONSENTS,
        ' == "withdrawn" and (hint.at is None or hint.at == newest.at):\n',
        ' == "withdrawn" and False:\n',
    ),
    guard(
        "a bare hint undoes no withdrawal",
        f"{WORDS}[a ticked box undoes no withdrawal]",
        CONSENTS,
        '        if state in ("hint", "requested") and newest.state in ("confirmed", "withdrawn"):\n',
        "        if False:\n",
    ),
    guard(
        "a consent that arrives late undoes nothing newer",
        f"{WORDS}[nor does an older one]",
        CONSENTS,
        "        if hint.at is not None and hint.at < newest.at:\n",
        "        if False:\n",
    ),
    guard(
        "a bad rule file never replaces a good one",
        "tests/daemon/test_book.py::test_a_bad_file_never_replaces_a_good_one",
        "daemon/book.py",
        "        if book.mistakes or _same(book, self.book):\n",
        "        if _same(book, self.book):\n",
    ),
    guard(
        "a template says only what is known to be harmless",
        "tests/daemon/mail/test_sandbox.py::test_refused_with_its_line_within_a_second",
        "daemon/mail/sandbox.py",
        "        if not isinstance(node, TAKEN):\n",
        "        if False:\n",
    ),
    guard(
        "what customers and products are called is escaped",
        "tests/daemon/mail/test_hostile.py::test_whatever_they_are_called_the_mail_keeps_its_shape",
        "daemon/mail/sandbox.py",
        "            autoescape=html, undefined",
        "            autoescape=False, undefined",
    ),
    guard(
        "a dead address is not written to again",
        f"{REPORTS}::test_thirty_of_thirty_reports_have_the_right_effect",
        MAILED,
        "    if dead and letter.same_address and not letter.rehearsal:\n",
        "    if False:\n",
    ),
    guard(
        "an address that is not the one it went to is not blamed",
        f"{REPORTS}::test_an_address_that_was_changed_since_is_not_blamed_for_the_old_one",
        MAILED,
        "    if dead and letter.same_address and not letter.rehearsal:\n",
        "    if dead and not letter.rehearsal:\n",
    ),
    guard(
        "a full mailbox counts as dead after a while",
        f"{REPORTS}::test_a_full_mailbox_counts_as_dead_after_a_while",
        MAILED,
        "        dead = number >= SOFT_MOST and days >= SOFT_DAYS\n",
        "        dead = False\n",
    ),
    guard(
        "a reply ends the recovery",
        "tests/flow/test_post.py::test_a_reply_ends_it_and_waits_to_be_read",
        "rules/questions.py",
        'ANSWERS = ("complained", "replied", "bounced")\n',
        'ANSWERS = ("complained", "bounced")\n',
    ),
    guard(
        "what may have been taken counts for the caps",
        "tests/flow/faults/test_each_guard.py::test_what_may_have_been_taken_counts_for_the_caps",
        "daemon/store/facts.sql",
        "'complained', 'unknown', 'unknown_final')\n            UNION ALL\n",
        "'complained')\n            UNION ALL\n",
    ),
    guard(
        "a request that nobody knows of is not sent again",
        "tests/flow/faults/test_optin_crash.py::test_a_kill_asks_nobody_twice_and_loses_no_request",
        "daemon/store/optins.sql",
        "UPDATE opt_in SET state = 'unknown', lease_until_real = NULL, reason = 'lease over'\n",
        "UPDATE opt_in SET state = 'waiting', lease_until_real = NULL, reason = 'lease over', token_sha256 = NULL\n",
    ),
    guard(
        "an opt-out takes the consent back, too",
        "tests/daemon/web/test_unsubscribe.py::test_one_click_ends_it_all_at_once",
        "daemon/flow/optout.py",
        "            await optouts.withdraw(db, hit, letter, at)\n",
        "",
    ),
    guard(
        "an opt-out ends the recovery",
        "tests/daemon/web/test_unsubscribe.py::test_one_click_ends_it_all_at_once",
        "daemon/flow/optout.py",
        '            await recoveries.end_of_persons(db, hit.shop_id, [letter.person_id], "unsubscribed", at)\n',
        "",
    ),
    guard(
        "a gate that cannot be asked says no",
        "tests/channels/test_smtp.py::test_gate_that_fails_says_no_and_tells_no_address",
        "channels/smtp.py",
        '        raise Withheld(f"could not ask whether it may still leave ({type(error).__name__})") from None\n',
        "        open_ = bool(error)\n",
    ),
    guard(
        "a slow relay has the gate asked again before the dot",
        "tests/channels/test_smtp.py::test_slow_answer_to_data_asks_once_more_before_the_dot",
        "channels/smtp.py",
        "        if self.wire.loop.time() - self.looked_at > FRESH:\n",
        "        if False:\n",
    ),
    guard(
        "a rehearsal puts nobody into an ad audience",
        "tests/flow/test_audiences.py::test_rehearsal_puts_nobody_in",
        "daemon/store/members.sql",
        "m.state = 'accepted' AND NOT m.rehearsal\n",
        "m.state = 'accepted'\n",
    ),
    guard(
        "a rehearsal pushes to nobody",
        "tests/flow/test_web_push.py::test_rehearsal_pushes_to_nobody",
        "daemon/flow/pushes.py",
        '    return "" if rehearsal or not case.browsers else case.browsers[0].endpoint\n',
        '    return "" if not case.browsers else case.browsers[0].endpoint\n',
    ),
    guard(
        "a START gives back only what a STOP took",
        "tests/flow/test_texts.py::test_start_gives_back_no_consent_that_was_taken_back_elsewhere",
        "daemon/store/callbacks.sql",
        "WHERE newest.state = 'withdrawn' AND newest.source = :source\n",
        "WHERE :source::text IS NOT NULL\n",
    ),
)
