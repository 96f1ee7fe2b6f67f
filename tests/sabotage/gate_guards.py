"""Guards of the gate and of what is asked before it: facts, brakes, times, allowances, backups and schemas."""

from __future__ import annotations

from tests.sabotage.guard import Edit, guard

DELIVER = "daemon/flow/deliver.py"
EACH = "tests/flow/faults/test_each_guard.py"
GATE = "rules/gate.py"
MESSAGES = "daemon/store/messages.sql"
OPTIN = "daemon/flow/optin.py"
OBJECTS = f"{EACH}::test_whoever_objects_between_the_claim_and_the_first_byte_is_not_written_to"
VIGIL = "daemon/flow/vigil.py"
PASSAGE = "tests/rules/test_gate.py::test_passage"
BEFORE = "tests/flow/test_before_it_leaves.py"
WATCHING = "tests/flow/test_vigil.py"
DOUBLE = "tests/flow/test_double_opt_in.py"
STEP = "    step = next(step for step in policy.ladder if step.name == planned.step)\n"
ANY_STEP = "    step = policy.ladder[0]\n"

GATE_GUARDS = (
    guard(
        "the brake holds what is at the gate",
        f"{BEFORE}::test_the_brake_holds_and_nothing_is_lost",
        DELIVER,
        "    if one.paused is not None:\n",
        "    if False:\n",
    ),
    guard(
        "a message that was decided on older facts is made anew",
        f"{EACH}::test_what_was_decided_on_older_facts_goes_back_and_not_out",
        DELIVER,
        "    if one.facts_no != case.facts_no:\n",
        "    if False:\n",
    ),
    guard(
        "what was made ready an hour ago is made anew",
        f"{EACH}::test_what_was_made_ready_an_hour_ago_is_made_anew",
        DELIVER,
        "    if now - one.prepared_at > STALE:\n",
        "    if False:\n",
    ),
    guard(
        "one message of a person in a claim",
        f"{EACH}::test_while_a_claim_looks_at_somebody_no_other_takes_another_message_of_theirs",
        DELIVER,
        "        if one.person_id in gone:\n",
        "        if False:\n",
    ),
    guard(
        "who was in the shop a moment ago is left alone",
        f"{PASSAGE}[back in the shop]",
        GATE,
        "        or questions.active(policy, facts, now)\n",
        "",
    ),
    guard(
        "an order whose payment is open holds the message",
        f"{PASSAGE}[an order came whose payment is open]",
        GATE,
        "        questions.order_on_hold(facts, now)\n        or questions.cart_closed(facts, now)\n",
        "        questions.cart_closed(facts, now)\n",
    ),
    guard(
        "who asked for a pause has it",
        f"{PASSAGE}[asked for a pause]",
        GATE,
        "        or questions.resting(facts, now)\n",
        "",
    ),
    guard(
        "who asked for fewer gets fewer",
        f"{PASSAGE}[asked for fewer, and had one this week]",
        "rules/questions.py",
        "fewer=facts.person.fewer)",
        "fewer=False)",
    ),
    guard(
        "no message after its time",
        f"{PASSAGE}[its time is over]",
        GATE,
        "    if now > planned.not_after or questions.missed(policy, step, facts) is not None:\n",
        "    if questions.missed(policy, step, facts) is not None:\n",
    ),
    guard(
        "a step that was taken out of the rules is not sent",
        f"{PASSAGE}[the step was taken out of the rules]",
        GATE,
        "        or _removed(policy, planned)\n",
        "",
        Edit(GATE, f"{STEP}    if now >", f"{ANY_STEP}    if now >"),
        Edit(GATE, f"{STEP}    if facts", f"{ANY_STEP}    if facts"),
        Edit(GATE, "        or _unwanted(policy, planned, facts)\n", ""),
    ),
    guard(
        "whom the policy never writes to is not written to",
        f"{PASSAGE}[the person is staff now]",
        GATE,
        "        or questions.never_written_to(policy, facts)\n",
        "",
    ),
    guard(
        "a reaction in the night stops what waits for the morning",
        "tests/rules/test_gate.py::test_what_a_step_waits_for_is_asked_again[opened in the night]",
        GATE,
        "        questions.unless(policy, step, facts)[0]\n        or questions.only_if",
        "        questions.only_if",
    ),
    guard(
        "steps count from the cart's last change",
        "tests/rules/test_gate.py::test_a_cart_that_changed_meanwhile_has_its_steps_counted_anew",
        GATE,
        "    if span := _due_later(policy, planned, facts, now):\n",
        "    if (span := _due_later(policy, planned, facts, now)) and False:\n",
    ),
    guard(
        "no more texts for one cart than the law allows",
        "tests/rules/test_law_applied.py::test_the_gate_asks_once_more[another for this cart]",
        GATE,
        "        or questions.only_if(step, facts)[0]\n        or questions.enough_for_cart(policy, facts, step)\n",
        "        or questions.only_if(step, facts)[0]\n",
    ),
    guard(
        "what was due before a restored backup or a long silence is not made up for",
        f"{WATCHING}::test_a_message_that_was_ready_before_the_silence_expires_at_the_gate",
        "rules/questions.py",
        "    if until is None or due_at(policy, step, facts) >= until:\n",
        "    if True:\n",
    ),
    guard(
        "a day without any worker is noticed",
        f"{WATCHING}::test_after_two_days_of_silence_overdue_steps_expire_and_later_ones_go_on",
        VIGIL,
        "        elif told.silence > LONG:\n",
        "        elif False:\n",
    ),
    guard(
        "a schema that is older than this tillbell is refused",
        "tests/daemon/test_migrate.py::test_older_schema_is_refused_until_migrated",
        "daemon/schema.py",
        "    if current == newest:\n",
        "    if current:\n",
    ),
    guard(
        "a schema that is newer than this tillbell is refused",
        "tests/daemon/test_migrate.py::test_newer_schema_is_refused_and_not_touched",
        "daemon/schema.py",
        "    if current is not None and current not in known:\n",
        "    if False:\n",
    ),
    guard(
        "a process whose database was migrated by a newer one ends",
        "tests/daemon/test_migrate.py::test_a_running_process_ends_when_its_database_is_migrated_by_a_newer_one",
        VIGIL,
        "        await check_schema(db)  # type: ignore[arg-type]  # a pool's connection is one\n        context",
        "        context",
    ),
    guard(
        "another pepper is refused",
        "tests/daemon/test_house.py::test_another_pepper_is_refused",
        "daemon/house.py",
        "    if known is not None and known != fingerprint:\n",
        "    if False:\n",
    ),
    guard(
        "who is held out gets nothing",
        "tests/flow/test_holdout.py::test_shadows_climb_the_ladder_and_get_nothing",
        "daemon/flow/decide.py",
        '    withheld = "holdout" if case.held_out else',
        '    withheld = "holdout" if False else',
    ),
    guard(
        "whose address is suppressed between the claim and the first byte is not written to",
        f"{OBJECTS}[suppressed]",
        MESSAGES,
        "        AND s.address_hmac IN (p.email_hmac, p.phone_hmac))\n    AND NOT EXISTS (SELECT FROM consent k",
        "        AND false)\n    AND NOT EXISTS (SELECT FROM consent k",
    ),
    guard(
        "who withdraws between the claim and the first byte is not written to",
        f"{OBJECTS}[withdrawn]",
        MESSAGES,
        "AND k.state = 'withdrawn'\n        AND k.purpose = (:purposes",
        "AND k.state = 'never'\n        AND k.purpose = (:purposes",
    ),
    guard(
        "a message of a recovery that ended on the wire is not tried again",
        f"{EACH}::test_a_message_whose_recovery_ended_on_the_wire_is_not_tried_again",
        MESSAGES,
        "            WHEN r.state = 'ended' THEN 'cancelled'\n",
        "",
    ),
    guard(
        "twelve tries and no more",
        "tests/flow/faults/test_refusals.py::test_one_recipient",
        MESSAGES,
        "m.not_after < :now OR m.tries >= :most_tries AND n.costs_a_try THEN 'expired'",
        "m.not_after < :now THEN 'expired'",
    ),
    guard(
        "a claim whose COMMIT was not answered leaves only while its gate holds",
        "tests/flow/faults/test_postgres.py::test_what_was_claimed_too_long_ago_is_given_back_and_not_called_unknown",
        "daemon/store/claims.sql",
        " AND m.lease_until_real > clock_timestamp() + :least\n",
        " AND :least::interval IS NOT NULL\n",
    ),
    guard(
        "a policy waits while orders come later than its first step",
        "tests/flow/test_orders_too_late.py::test_a_policy_waits_while_orders_come_later_than_its_first_step",
        "daemon/flow/lateness.py",
        " is not None and late > first\n",
        " is not None and False\n",
    ),
    guard(
        "too many complaints stop the mails",
        "tests/flow/test_reputation.py::test_too_many_complaints_stop_the_mails_once",
        "daemon/flow/reputation.py",
        "    if too_many_complaints(seen):\n",
        "    if False:\n",
    ),
    guard(
        "too many dead addresses stop the mails",
        "tests/flow/test_reputation.py::test_five_dead_addresses_in_the_newest_hundred_stop_the_mails",
        "daemon/flow/reputation.py",
        "    if seen.bounced >= DEAD:\n",
        "    if False:\n",
    ),
    guard(
        "whom a complaint came from hears no more",
        "tests/flow/test_reports.py::test_thirty_of_thirty_reports_have_the_right_effect",
        "daemon/flow/post.py",
        '        await _suppress(db, shop_id, letter, "any", "complained", now)\n',
        "",
    ),
    guard(
        "what forbids is kept from both who are one",
        "tests/flow/test_merging.py::test_who_objected_as_either_is_written_to_as_neither",
        "daemon/store/merging.sql",
        "FROM addresses a JOIN suppression s ON s.shop_id = :shop_id AND s.address_hmac = a.hmac\n",
        "FROM addresses a JOIN suppression s ON false AND s.shop_id = :shop_id AND s.address_hmac = a.hmac\n",
    ),
    guard(
        "a new sender begins with few, whoever claims",
        "tests/flow/test_allowances.py::test_a_new_sender_begins_with_few",
        "daemon/flow/allowances.py",
        "    if limit is None or (row.used or {}).get(str(day), 0) < limit:\n",
        "    if True:\n",
    ),
    guard(
        "a provider of mailboxes gets its rate and no more",
        "tests/flow/test_allowances.py::test_a_line_gives_places_one_after_the_other",
        "daemon/flow/allowances.py",
        "        row.next_real = free + each\n",
        "        row.next_real = free\n",
    ),
    guard(
        "no more leaves within a span than the relay's rate says",
        "tests/flow/test_pace.py::test_no_window_gets_more_beginnings_than_the_rate",
        "daemon/flow/pace.py",
        "        return self.share - in_use if monotonic() < self.until else 0\n",
        "        return self.share if monotonic() < self.until else 0\n",
    ),
)
