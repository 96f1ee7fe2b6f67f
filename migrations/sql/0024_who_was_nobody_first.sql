-- A visitor whom the shop names later was somebody already, known by nothing but the browser: they become that person.
ALTER TABLE merge DROP CONSTRAINT merge_kind_check;
ALTER TABLE merge ADD CONSTRAINT merge_kind_check CHECK (kind IN ('customer', 'email', 'onsite', 'hand'));
