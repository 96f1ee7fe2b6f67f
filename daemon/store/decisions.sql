-- name: due
-- Recoveries whose wake time has come, earliest first.
SELECT id FROM recovery WHERE shop_id = :shop_id AND wake_at <= :now ORDER BY wake_at, id LIMIT :most;

-- name: policies
SELECT hash, body FROM policy WHERE shop_id = :shop_id AND hash = ANY(:hashes::text[]);

-- name: keep_policy!
INSERT INTO policy (shop_id, hash, name, body, first_used_at) VALUES (:shop_id, :hash, :name, :body, :now)
ON CONFLICT DO NOTHING;

-- name: record
-- The results of one batch in one write: every decision, the messages that follow from it, the next wake times and the
-- ends. A recovery that was woken again meanwhile keeps that wake time and is asked again. Locked in their order, as
-- everybody does it.
WITH n AS MATERIALIZED (
    SELECT * FROM unnest(:recoveries::bigint[], :wakes::timestamptz[], :verdicts::text[], :steps::text[], :channels::text[],
        :untils::timestamptz[], :becauses::text[], :questions::text[], :facts::jsonb[], :facts_nos::bigint[],
        :policies::text[], :bases::text[], :evidences::text[], :consents::bigint[], :dues::timestamptz[],
        :not_afters::timestamptz[], :states::text[], :reasons::text[])
        AS n (recovery_id, was_wake, verdict, step, channel, until, because, questions, facts, facts_no, policy_hash, basis,
            evidence, consent_id, due_at, not_after, state, reason)
), locked AS MATERIALIZED (
    SELECT r.id FROM recovery r JOIN n ON r.id = n.recovery_id WHERE r.shop_id = :shop_id AND r.state = 'open'
    ORDER BY r.id FOR NO KEY UPDATE OF r
), ours AS (
    UPDATE recovery r SET
        wake_at = CASE n.verdict WHEN 'wait' THEN n.until WHEN 'send' THEN CASE WHEN n.state = 'planned' THEN NULL ELSE :now::timestamptz END END,
        state = CASE WHEN n.verdict = 'stop' THEN 'ended' ELSE r.state END,
        ended_at = CASE WHEN n.verdict = 'stop' THEN :now END,
        end_reason = CASE WHEN n.verdict = 'stop' THEN n.reason END
    FROM n JOIN locked ON locked.id = n.recovery_id
    WHERE r.shop_id = :shop_id AND r.id = n.recovery_id AND r.state = 'open' AND r.wake_at IS NOT DISTINCT FROM n.was_wake
    RETURNING r.id, r.person_id, r.rehearsal, n.*
), said AS (
    INSERT INTO decision (shop_id, recovery_id, at, verdict, step, until, because, questions, facts, facts_no, policy_hash)
    SELECT :shop_id, id, :now, verdict, step, until, because, questions::jsonb, facts, facts_no, policy_hash FROM ours ORDER BY id
), planned AS (
    INSERT INTO message (shop_id, recovery_id, person_id, step, channel, rehearsal, state, policy_hash, facts_no, basis,
        basis_evidence, consent_id, planned_at, not_before, not_after, reason, ended_at)
    SELECT :shop_id, id, person_id, step, channel, rehearsal, state, policy_hash, facts_no, basis, evidence, consent_id, :now,
        :now, not_after, CASE WHEN state = 'withheld' THEN reason END, CASE WHEN state = 'withheld' THEN :now END
    FROM ours WHERE verdict = 'send' ORDER BY person_id
    ON CONFLICT (shop_id, recovery_id, step, channel) DO NOTHING
), gone AS (
    UPDATE message m SET state = 'cancelled', reason = ours.reason, ended_at = :now
    FROM ours WHERE ours.verdict = 'stop' AND m.shop_id = :shop_id AND m.recovery_id = ours.id
        AND m.state IN ('planned', 'prepared', 'retry_wait')
)
SELECT id, verdict, step, state, reason FROM ours ORDER BY id;

-- name: note!
-- What the gate decided: a message put off, sent back or given up.
INSERT INTO decision (shop_id, recovery_id, at, verdict, step, until, because, facts_no, policy_hash)
SELECT :shop_id, n.recovery_id, :now, n.verdict, n.step, n.until, n.because, n.facts_no, n.policy_hash
FROM unnest(:recoveries::bigint[], :verdicts::text[], :steps::text[], :untils::timestamptz[], :becauses::text[],
    :facts_nos::bigint[], :policies::text[]) AS n (recovery_id, verdict, step, until, because, facts_no, policy_hash)
ORDER BY n.recovery_id;
