-- What providers tell is found without reading past the events of a shop that wait, however many there are.
CREATE INDEX inbox_told_waiting ON inbox (shop_id, id) WHERE state = 'waiting' AND source LIKE 'channel %';
