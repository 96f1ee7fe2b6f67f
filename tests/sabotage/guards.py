"""The guards of the promise, how each is taken away, and which tests have to miss it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Guard:
    """`there` stands exactly once in `file` and becomes `instead`; at least one of `tests` must go red."""

    name: str
    file: str
    there: str
    instead: str
    tests: tuple[str, ...]


ONE_CART = "tests/flow/test_one_cart.py"
ONE_CLAIM = "tests/flow/faults/test_one_claim.py"
RACE = "tests/flow/faults/test_purchase_race.py"
FROZEN = "tests/flow/faults/test_frozen.py"
MODEL = "tests/flow/faults/test_model.py"
BEFORE = "tests/flow/test_before_it_leaves.py"
REHEARSAL = "tests/flow/test_rehearsal.py"
POST = "tests/flow/test_post.py"
HOOKS = "tests/daemon/web/test_hooks.py"
GATE = "tests/rules/test_gate.py"

GUARDS = (
    Guard(
        "one message for each step of a recovery (unique key)",
        "migrations/sql/0004_messages.sql",
        "    UNIQUE (shop_id, recovery_id, step, channel),\n",
        "",
        (ONE_CART,),
    ),
    Guard(
        "one open recovery for each person (unique index)",
        "migrations/sql/0003_recoveries.sql",
        "CREATE UNIQUE INDEX recovery_one_open_per_person",
        "CREATE INDEX recovery_one_open_per_person",
        ("tests/daemon/store/test_enrolment.py", "tests/flow/test_stopping.py", "tests/meta/test_schema.py"),
    ),
    Guard(
        "an outcome needs its fence",
        "daemon/store/messages.sql",
        "    WHERE m.shop_id = n.shop_id AND m.id = n.id AND m.fence = n.fence\n        AND (m.state || '' = 'sending'",
        "    WHERE m.shop_id = n.shop_id AND m.id = n.id\n        AND (m.state || '' = 'sending'",
        (FROZEN, MODEL),
    ),
    Guard(
        "a purchase waits for the claim's lock on the person",
        "daemon/store/persons.sql",
        "WHERE shop_id = :shop_id AND id = ANY(:persons::bigint[])\nORDER BY id\nFOR NO KEY UPDATE;",
        "WHERE shop_id = :shop_id AND id = ANY(:persons::bigint[])\nORDER BY id;",
        (RACE, "tests/flow/faults/test_deadlocks.py", MODEL),
    ),
    Guard(
        "caps are counted under the person's lock",
        "daemon/store/messages.sql",
        "FOR NO KEY UPDATE OF p SKIP LOCKED;",
        ";",
        (ONE_CLAIM,),
    ),
    Guard(
        "a last look right before the first byte",
        "daemon/flow/deliver.py",
        "            wanted, asked_at = await self.rechecker.submit(message)\n",
        "            wanted, asked_at = True, monotonic()\n",
        (RACE, MODEL),
    ),
    Guard(
        "an ended recovery is not written about",
        "daemon/flow/deliver.py",
        "    if not case.open:\n",
        "    if False:\n",
        (RACE, BEFORE, MODEL, "tests/flow/test_stopping.py"),
    ),
    Guard(
        "quiet hours at the gate",
        "rules/gate.py",
        "        or questions.out_of_hours(policy, facts, planned.channel, now)\n",
        "",
        (GATE, BEFORE),
    ),
    Guard(
        "caps at the gate",
        "rules/gate.py",
        "        or questions.over_cap(policy, facts, planned.channel, now)\n",
        "",
        (GATE, ONE_CLAIM),
    ),
    Guard(
        "no message without a basis",
        "rules/gate.py",
        "    if isinstance(ground, Bar):\n        return Cancel(ground.about)\n",
        "",
        (GATE, ONE_CART),
    ),
    Guard(
        "after the final dot, silence means unknown",
        "channels/smtp.py",
        'self.phase, self.dotted = "dot", True',
        'self.phase, self.dotted = "dot", False',
        ("tests/channels/test_smtp.py", "tests/channels/test_faults.py", "tests/channels/test_pipelining.py"),
    ),
    Guard(
        "a dot at a line's start is doubled",
        "channels/smtp.py",
        'octets.replace(b"\\r\\n.", b"\\r\\n..")',
        'octets.replace(b"\\r\\n.", b"\\r\\n.")',
        ("tests/channels/test_smtp.py",),
    ),
    Guard(
        "a pushed event needs its signature",
        "daemon/web/hooks.py",
        "                _check_signature(shop.webhooks, request, raw)\n",
        "",
        (HOOKS,),
    ),
    Guard(
        "a delivery is kept once",
        "daemon/store/inbox.sql",
        "    AS n (shop_id, source, delivery_id, body)",
        "    AS o (shop_id, source, known, body), LATERAL (SELECT o.shop_id, o.source, o.body,\n"
        "    gen_random_uuid()::text AS delivery_id) AS n",
        (HOOKS, "tests/daemon/store/test_inbox.py"),
    ),
    Guard(
        "the reaper calls a lost claim unknown",
        "daemon/store/messages.sql",
        "    UPDATE message m SET state = 'unknown', lease_until_real = NULL, reason = 'lease over',\n"
        "        reconcile_real = clock_timestamp() + interval '24 hours'\n",
        "    UPDATE message m SET state = 'retry_wait', lease_until_real = NULL, reason = 'lease over'\n",
        (FROZEN, "tests/flow/faults/test_crash_points.py", MODEL),
    ),
    Guard(
        "looking at the way out changes nothing",
        "daemon/web/unsubscribe.py",
        "            await track.viewed(state.desk, token, state.visitor(request))\n",
        "            await track.unsubscribed(state.desk, token, state.visitor(request))\n",
        ("tests/daemon/web/test_unsubscribe.py",),
    ),
    Guard(
        "a rehearsal writes to the test address",
        "daemon/flow/deliver.py",
        'return (shop.rehearsal_to or "") if rehearsal else',
        'return (shop.rehearsal_to or "") if False else',
        (REHEARSAL,),
    ),
    Guard(
        "a message of a rehearsal does not leave once the shop is live",
        "daemon/flow/deliver.py",
        "    if one.of_another_mode:\n",
        "    if False:\n",
        (REHEARSAL,),
    ),
    Guard(
        "an address that is suppressed is not written to",
        "rules/questions.py",
        '    if facts.person.suppressed & {channel, "any"}:\n',
        "    if False:\n",
        (GATE, "tests/rules/test_ladder.py", "tests/flow/test_stopping.py"),
    ),
    Guard(
        "links lead to the shop's own hosts",
        "daemon/mail/links.py",
        'if any(host == own or host.endswith("." + own) for own in hosts) else ""',
        'if True else ""',
        ("tests/daemon/web/test_links.py",),
    ),
    Guard(
        "a report with a return path is not believed",
        "daemon/flow/post.py",
        '    if found.kind in REPORTS and found.return_path != "":\n',
        "    if False:\n",
        (POST,),
    ),
    Guard(
        "a token needs its signature",
        "daemon/tokens.py",
        "    if key is None or not hmac.compare_digest(sign(key, head), tag):\n",
        "    if key is None:\n",
        ("tests/daemon/test_tokens.py", "tests/daemon/web/test_links.py"),
    ),
    Guard(
        "claims wait for opt-outs on the disks of web processes",
        "daemon/flow/deliver.py",
        "    return waiting > 0\n",
        "    return False\n",
        (BEFORE,),
    ),
    Guard(
        "who was erased stays away",
        "daemon/flow/graves.py",
        "    stones = {(kind, tombstone(pepper, kind, value)): (kind, value) for kind, value in names}\n",
        "    stones: dict[Key, Key] = {}\n",
        ("tests/flow/test_erasing.py",),
    ),
)
