-- Why two were taken for one, and all that moved by it, so that a mistake can be taken back.
CREATE TABLE merge (
    shop_id    bigint NOT NULL,
    id         bigint GENERATED ALWAYS AS IDENTITY,
    older      bigint NOT NULL,
    younger    bigint NOT NULL,
    -- The identity that both turned out to have; by hand: the value is empty.
    kind       text NOT NULL CHECK (kind IN ('customer', 'email', 'hand')),
    value      text NOT NULL,
    at         timestamptz NOT NULL,
    -- Both persons as they were, the older as it became, and the keys of the rows that moved, by table. Empty once the
    -- person is erased: then it cannot be taken back any more.
    moved      jsonb NOT NULL,
    -- Taken back then: the same evidence does not make these two one again.
    undone_at  timestamptz,
    PRIMARY KEY (shop_id, id),
    FOREIGN KEY (shop_id, older) REFERENCES person,
    FOREIGN KEY (shop_id, younger) REFERENCES person,
    CHECK (older < younger),
    CHECK (undone_at IS NULL OR undone_at >= at)
);
CREATE INDEX merge_of_older ON merge (shop_id, older);
CREATE INDEX merge_of_younger ON merge (shop_id, younger);

-- Who was one person for a while: what each was sent until they were parted counts for the caps of both.
CREATE TABLE parted (
    shop_id    bigint NOT NULL,
    person_id  bigint NOT NULL,
    other      bigint NOT NULL,
    at         timestamptz NOT NULL,
    PRIMARY KEY (shop_id, person_id, other),
    FOREIGN KEY (shop_id, person_id) REFERENCES person,
    FOREIGN KEY (shop_id, other) REFERENCES person
);
