"""The guards of the promise, how each is taken away, and the test that has to miss it."""

from __future__ import annotations

from tests.sabotage.channel_guards import CHANNEL_GUARDS
from tests.sabotage.edge_guards import EDGE_GUARDS
from tests.sabotage.gate_guards import GATE_GUARDS
from tests.sabotage.guard import Edit, Guard, guard
from tests.sabotage.shop_guards import SHOP_GUARDS

__all__ = ["GUARDS", "Guard"]

MESSAGES = "daemon/store/messages.sql"
DELIVER = "daemon/flow/deliver.py"
DOORS = "tests/daemon/web/test_doors.py"
REHEARSAL = "tests/flow/test_rehearsal.py"

GUARDS = (
    guard(
        "one message for each step of a recovery: unique key",
        "tests/flow/faults/test_each_guard.py::test_a_step_that_is_decided_again_is_one_message",
        "migrations/sql/0004_messages.sql",
        "    UNIQUE (shop_id, recovery_id, step, channel),\n",
        "",
        Edit("daemon/store/decisions.sql", "ON CONFLICT (shop_id, recovery_id, step, channel) DO NOTHING", ""),
    ),
    guard(
        "one open recovery for each person: unique index",
        "tests/flow/faults/test_each_guard.py::test_two_carts_of_one_person_that_are_taken_at_once_are_one_recovery",
        "migrations/sql/0003_recoveries.sql",
        "CREATE UNIQUE INDEX recovery_one_open_per_person",
        "CREATE INDEX recovery_one_open_per_person",
    ),
    guard(
        "an outcome needs its fence",
        "tests/flow/faults/test_each_guard.py::test_the_word_of_an_older_claim_changes_nothing",
        MESSAGES,
        "    WHERE m.shop_id = n.shop_id AND m.id = n.id AND m.fence = n.fence\n        AND (m.state || '' = 'sending'",
        "    WHERE m.shop_id = n.shop_id AND m.id = n.id\n        AND (m.state || '' = 'sending'",
    ),
    guard(
        "an opt-out or a purchase waits for the claim's lock on the person",
        "tests/flow/faults/test_each_guard.py::test_an_opt_out_waits_for_a_claim_that_has_begun",
        MESSAGES,
        "FOR NO KEY UPDATE OF p SKIP LOCKED;",
        ";",
    ),
    guard(
        "caps are counted under the person's lock",
        "tests/flow/faults/test_each_guard.py::test_while_a_claim_looks_at_somebody_no_other_takes_another_message_of_theirs",
        MESSAGES,
        "FOR NO KEY UPDATE OF p SKIP LOCKED;",
        ";",
    ),
    guard(
        "a last look right before the first byte",
        "tests/flow/faults/test_each_guard.py::test_a_purchase_between_the_claim_and_the_first_byte_stops_it",
        DELIVER,
        "            wanted, asked_at = await self.rechecker.submit(message)\n",
        "            wanted, asked_at = True, monotonic()\n",
    ),
    guard(
        "an ended recovery is not written about",
        "tests/flow/faults/test_each_guard.py::test_a_message_of_a_recovery_that_is_over_is_cancelled_at_the_gate",
        DELIVER,
        "    if not case.open:\n",
        "    if False:\n",
    ),
    guard(
        "quiet hours at the gate",
        "tests/rules/test_gate.py::test_passage[it became night]",
        "rules/gate.py",
        "        or questions.out_of_hours(policy, facts, planned.channel, now)\n",
        "",
    ),
    guard(
        "caps at the gate",
        "tests/rules/test_gate.py::test_passage[another mail was quicker]",
        "rules/gate.py",
        "        or questions.over_cap(policy, facts, planned.channel, now)\n",
        "",
    ),
    guard(
        "no message without a basis",
        "tests/rules/test_gate.py::test_passage[the consent is gone]",
        "rules/gate.py",
        "    if isinstance(ground, Bar):\n        return Cancel(ground.about)\n",
        "",
    ),
    guard(
        "an address that is suppressed is not written to",
        "tests/rules/test_gate.py::test_passage[unsubscribed elsewhere]",
        "rules/questions.py",
        '    if facts.person.suppressed & {channel, "any"}:\n',
        "    if False:\n",
    ),
    guard(
        "after the final dot, silence means unknown",
        "tests/channels/test_smtp.py::test_outcome[hangs up after the dot]",
        "channels/smtp.py",
        'self.phase, self.dotted = "dot", True',
        'self.phase, self.dotted = "dot", False',
    ),
    guard(
        "a dot at a line's start is doubled",
        "tests/channels/test_smtp.py::test_dots_and_line_ends_arrive_as_written",
        "channels/smtp.py",
        'return b".".join((*pieces, octets[start:])) if pieces else octets',
        "return octets",
    ),
    guard(
        "a pushed event needs its signature",
        "tests/daemon/web/test_hooks.py::test_what_is_refused_says_why[signed with another key]",
        "daemon/web/hooks.py",
        "                _check_signature(shop.webhooks, request, raw)\n",
        "",
    ),
    guard(
        "a delivery is kept once",
        "tests/daemon/store/test_inbox.py::test_a_delivery_is_one_row_and_its_first_bytes_stay",
        "migrations/sql/0002_carts_and_orders.sql",
        "    UNIQUE (shop_id, source, delivery_id),\n",
        "",
        Edit("daemon/store/inbox.sql", "\nON CONFLICT (shop_id, source, delivery_id) DO NOTHING;", ";"),
    ),
    guard(
        "the reaper calls a lost claim unknown, and nobody sends it again",
        "tests/flow/faults/test_each_guard.py::test_a_lost_claim_is_unknown_and_nobody_claims_it_again",
        MESSAGES,
        "    UPDATE message m SET state = 'unknown', lease_until_real = NULL, reason = 'lease over',\n"
        "        reconcile_real = clock_timestamp() + interval '24 hours'\n",
        "    UPDATE message m SET state = 'retry_wait', lease_until_real = NULL, reason = 'lease over'\n",
    ),
    guard(
        "looking at the way out changes nothing",
        "tests/daemon/web/test_unsubscribe.py::test_looking_at_the_page_changes_nothing",
        "daemon/web/unsubscribe.py",
        "            await track.viewed(state.desk, token, state.visitor(request))\n",
        "            await track.unsubscribed(state.desk, token, state.visitor(request))\n",
    ),
    guard(
        "a rehearsal writes to the test address",
        f"{REHEARSAL}::test_it_writes_only_to_the_test_address",
        "daemon/flow/mails.py",
        'return (shop.rehearsal_to or "") if rehearsal else',
        'return (shop.rehearsal_to or "") if False else',
    ),
    guard(
        "a message of the other mode does not leave once the shop changed",
        f"{REHEARSAL}::test_a_live_message_does_not_leave_once_the_shop_rehearses",
        DELIVER,
        "    if one.of_another_mode:\n",
        "    if False:\n",
    ),
    guard(
        "links lead to the shop's own hosts",
        "tests/daemon/web/test_links.py::test_a_redirect_never_leaves_the_shop",
        "daemon/mail/links.py",
        'if any(host == own or host.endswith("." + own) for own in hosts) else ""',
        'if True else ""',
    ),
    guard(
        "a report with a return path is not believed",
        "tests/flow/test_reports.py::test_thirty_of_thirty_reports_have_the_right_effect",
        "daemon/flow/post.py",
        '    if found.kind in REPORTS and found.return_path != "":\n',
        "    if False:\n",
    ),
    guard(
        "a token needs its tag",
        "tests/daemon/test_tokens.py::test_one_flipped_bit_is_not_believed",
        "daemon/tokens.py",
        "    if key is None or not hmac.compare_digest(sign(key, head), tag):\n",
        "    if key is None:\n",
    ),
    guard(
        "claims wait for opt-outs on the disks of web processes",
        "tests/flow/faults/test_each_guard.py::test_claims_wait_for_opt_outs_on_the_disk_of_a_web_process",
        DELIVER,
        "    return waiting > 0\n",
        "    return False\n",
    ),
    guard(
        "who was erased stays away: tombstone",
        "tests/flow/test_erasing.py::test_what_is_pushed_of_them_afterwards_leaves_no_trace",
        "daemon/flow/graves.py",
        "    stones = {(kind, tombstone(pepper, kind, value)): (kind, value) for kind, value in names}\n",
        "    stones: dict[Key, Key] = {}\n",
    ),
    guard(
        "what a relay allows in a day is counted",
        "tests/flow/test_allowances.py::test_what_does_not_fit_waits_and_says_for_what",
        "daemon/flow/allowances.py",
        "    if sum(used.values()) < plan.per_day:\n",
        "    if True:\n",
    ),
    guard(
        "nothing is claimed while the disk is nearly full",
        "tests/flow/test_vigil.py::test_a_nearly_full_disk_stops_claims_and_says_so",
        "daemon/flow/vigil.py",
        "            short = free < least * MEGABYTE\n",
        "            short = False\n",
    ),
    guard(
        "nothing is claimed while the database has no room",
        "tests/flow/test_vigil.py::test_a_database_without_room_rests_the_claims_for_a_while",
        "daemon/flow/vigil.py",
        "        full = full_at is not None and monotonic() - full_at < FULL_REST\n",
        "        full = False\n",
    ),
    guard(
        "a restored backup sends nothing until somebody says so",
        "tests/flow/test_vigil.py::test_a_restored_backup_sends_nothing_until_somebody_says_so",
        "daemon/flow/vigil.py",
        "        older = known is not None and told.beats <= known\n",
        "        older = False\n",
    ),
    guard(
        "a copy of the database on another server sends nothing",
        "tests/flow/test_vigil.py::test_a_copy_on_another_server_sends_nothing",
        "daemon/flow/vigil.py",
        '        moved = told.home not in ("", told.here)\n',
        "        moved = False\n",
    ),
    guard(
        "a head has its time",
        f"{DOORS}::test_whose_head_does_not_come_is_cut",
        "daemon/web/doors.py",
        "if loop.time() - since >= self.patience]:\n",
        "if loop.time() - since >= 1e9]:\n",
    ),
    guard(
        "a head has its size",
        f"{DOORS}::test_a_head_without_end_is_cut_at_its_size",
        "daemon/web/doors.py",
        "        if self.head > HEAD:\n",
        "        if False:\n",
    ),
    guard(
        "one network opens no more than its share",
        DOORS,
        "daemon/web/doors.py",
        "        if self.crowd.too_many(address, now):\n",
        "        if False:\n",
    ),
    guard(
        "every answer is dressed",
        "tests/daemon/web/test_headers.py",
        "daemon/web/app.py",
        "            if name not in response.headers:\n",
        "            if False:\n",
    ),
    guard(
        "a form has its size",
        "tests/daemon/web/test_unsubscribe.py",
        "daemon/web/edge.py",
        "BODY = 16 * 1024\n",
        "BODY = 16 * 1024 * 1024\n",
    ),
    guard(
        "an erasure scrubs what somebody typed beside a suppression",
        "tests/flow/test_erasing.py",
        "daemon/store/dossier.sql",
        "THEN source ELSE 'erased' END\n",
        "THEN source ELSE source END\n",
    ),
    *GATE_GUARDS,
    *EDGE_GUARDS,
    *SHOP_GUARDS,
    *CHANNEL_GUARDS,
)
