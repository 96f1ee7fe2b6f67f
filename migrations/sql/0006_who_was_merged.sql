-- Who was merged into a person follows when that person is merged too: found without reading everybody.
CREATE INDEX person_merged ON person (shop_id, merged_into) WHERE merged_into IS NOT NULL;
