-- Who is wanted in which ad audience, and who is known to be in it: the difference is what is still to be said.
CREATE TABLE member (
    shop_id     bigint NOT NULL,
    audience    text NOT NULL,
    person_id   bigint NOT NULL,
    -- The message by which they were put there last.
    message_id  bigint,
    since       timestamptz NOT NULL,
    until       timestamptz NOT NULL,
    -- Stays out, so that the effect of the others' ads can be seen.
    control     boolean NOT NULL,
    ended_at    timestamptz,
    end_reason  text,
    wanted      boolean NOT NULL,
    -- unsure: a call was made whose end is not known, so both adding and removing are worth saying.
    actual      text NOT NULL DEFAULT 'out' CHECK (actual IN ('out', 'unsure', 'in')),
    -- The hashes under which the platform got them, in its own form; gone as soon as they are out.
    keys        jsonb,
    -- Keyed hashes of the addresses that these came from; others now: out under the old ones, then in under the new.
    known_as    bytea[],
    stale       boolean NOT NULL DEFAULT false,
    -- Raised by every call: an answer to an older one settles nothing.
    op_seq      bigint NOT NULL DEFAULT 0,
    asked       text CHECK (asked IN ('add', 'remove')),
    asked_real  timestamptz,
    -- Under which the platform will tell later what became of the call.
    request     text,
    -- Removed while they were still being added: said once more, whichever is worked off first.
    twice       boolean NOT NULL DEFAULT false,
    tries       integer NOT NULL DEFAULT 0,
    PRIMARY KEY (shop_id, audience, person_id),
    FOREIGN KEY (shop_id, person_id) REFERENCES person,
    FOREIGN KEY (shop_id, message_id) REFERENCES message,
    CHECK ((ended_at IS NULL) = (end_reason IS NULL)),
    CHECK (wanted = (ended_at IS NULL AND NOT control)),
    CHECK (actual = 'out' OR keys IS NOT NULL),
    CHECK (request IS NULL OR actual = 'unsure')
);
CREATE INDEX member_open ON member (shop_id, until) WHERE ended_at IS NULL;
CREATE INDEX member_unsettled ON member (shop_id, audience, person_id)
    WHERE stale OR actual <> CASE WHEN wanted THEN 'in' ELSE 'out' END;
CREATE INDEX member_of_person ON member (shop_id, person_id);

-- How it goes with the platform of an audience.
CREATE TABLE audience (
    shop_id     bigint NOT NULL REFERENCES shop,
    name        text NOT NULL,
    -- Machine time before which it is left alone.
    rest_real   timestamptz,
    failures    integer NOT NULL DEFAULT 0,
    problem     text,
    problem_at  timestamptz,
    -- Something the operator should know that stops nothing.
    note        text,
    pushed_at   timestamptz,
    PRIMARY KEY (shop_id, name)
);

-- Accepted, and not yet a member.
CREATE INDEX message_to_audience ON message (shop_id, id)
    WHERE channel = 'audience' AND state = 'accepted' AND NOT rehearsal;
