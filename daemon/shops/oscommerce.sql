-- Reads of an osCommerce-family shop. {table} is the shop's table with its prefix; other braces are what a dialect
-- keeps in its own place (daemon/shops/dialects). Each is one short statement under autocommit: in a MyISAM shop a
-- reader keeps the shoppers' writes waiting.

-- name: clock^
-- What the database takes for now, in UTC; the session's zone is set to it.
SELECT UTC_TIMESTAMP() AS at;

-- name: newest^
-- The latest moments that the shop has written: one in the future betrays a wrong zone.
SELECT
    (SELECT MAX(customers_basket_date_added) FROM {customers_basket}) AS basket,
    (SELECT MAX({ordered}) FROM {orders} o) AS ordered;

-- name: languages
SELECT languages_id, code, directory FROM {languages};

-- name: basket_owners
-- A page of people with something in their basket.
SELECT DISTINCT customers_id FROM {customers_basket}
WHERE customers_id > :after
ORDER BY customers_id
LIMIT :limit;

-- name: basket_lines
SELECT customers_basket_id, customers_id, products_id, customers_basket_quantity AS quantity,
    customers_basket_date_added AS added
FROM {customers_basket}
WHERE customers_id IN :people
ORDER BY customers_id, customers_basket_id;

-- name: basket_options
SELECT b.customers_id, b.products_id, b.products_options_id AS option_id, b.products_options_value_id AS value_id,
    {option_text} AS typed, v.products_options_values_name AS name
FROM {customers_basket_attributes} b
LEFT JOIN {products_options_values} v
    ON v.products_options_values_id = b.products_options_value_id AND v.language_id = :language
WHERE b.customers_id IN :people
ORDER BY b.customers_id, b.customers_basket_attributes_id;

-- name: customers
SELECT c.customers_id, c.customers_firstname AS first_name, c.customers_lastname AS last_name,
    c.customers_email_address AS email, c.customers_newsletter AS newsletter, {phone} AS phone,
    {guest} AS is_guest, {shut} AS is_shut, {group} AS grp, k.countries_iso_code_2 AS country,
    z.zone_code AS state
FROM {customers} c
LEFT JOIN {address_book} a ON a.address_book_id = c.customers_default_address_id AND a.customers_id = c.customers_id
LEFT JOIN {countries} k ON k.countries_id = a.entry_country_id
LEFT JOIN {zones} z ON z.zone_id = a.entry_zone_id
WHERE c.customers_id IN :people;

-- name: last_languages
-- The language in which each of them ordered last.
SELECT o.customers_id, {language_key} AS language
FROM {orders} o
JOIN (SELECT MAX(orders_id) AS newest FROM {orders} WHERE customers_id IN :people GROUP BY customers_id) n
    ON n.newest = o.orders_id;

-- name: online
-- Seconds since 1970, as text, of the last click of each, as far as the shop still keeps it.
SELECT customer_id, MAX(time_last_click) AS clicked FROM {whos_online}
WHERE customer_id IN :people
GROUP BY customer_id;

-- name: recipients
-- Of several rows for one address the newest is last. Addresses beyond ASCII are compared in utf8mb4, because a latin1
-- column refuses them, all the others as they are kept, because of the index.
SELECT r.customers_email_address AS email, r.mail_status AS status, {by_admin} AS by_admin, {signed} AS signed,
    {signed_from} AS signed_from, {confirmed} AS confirmed, {confirmed_from} AS confirmed_from
FROM {newsletter_recipients} r
WHERE r.customers_email_address IN :plain
    OR (:beyond AND CONVERT(r.customers_email_address USING utf8mb4) IN :others)
ORDER BY r.date_added;

-- name: products
-- Names in the language asked for, else in the shop's own; the price of a running special beside the usual one.
SELECT p.products_id, p.products_price AS price, p.products_quantity AS quantity, p.products_status AS status,
    p.products_image AS image, p.products_model AS model, p.products_tax_class_id AS tax_class,
    {combis_rule} AS combis_rule,
    COALESCE(NULLIF(d.products_name, ''), e.products_name, '') AS name,
    (SELECT MIN(s.specials_new_products_price) FROM {specials} s
     WHERE s.products_id = p.products_id AND s.status = 1 AND {special_started}
         AND (s.expires_date IS NULL OR s.expires_date < '1971-01-01' OR s.expires_date > :wall)) AS special
FROM {products} p
LEFT JOIN {products_description} d ON d.products_id = p.products_id AND d.language_id = :language
LEFT JOIN {products_description} e ON e.products_id = p.products_id AND e.language_id = :fallback
WHERE p.products_id IN :products;

-- name: attributes
SELECT products_id, options_id AS option_id, options_values_id AS value_id, options_values_price AS price,
    price_prefix AS prefix
FROM {products_attributes}
WHERE products_id IN :products;

-- name: combis
SELECT m.products_properties_combis_id AS combi_id, m.products_id, m.combi_model AS model,
    m.combi_quantity AS quantity, m.combi_price_type AS price_type, m.combi_price AS price,
    (SELECT GROUP_CONCAT(i.values_name ORDER BY i.properties_sort_order SEPARATOR ', ')
     FROM {products_properties_index} i
     WHERE i.products_properties_combis_id = m.products_properties_combis_id AND i.language_id = :language) AS name
FROM {products_properties_combis} m
WHERE m.products_properties_combis_id IN :combis;

-- name: page_end^
-- The last of so many orders after this one, nothing where there is none.
SELECT MAX(orders_id) AS id
FROM (SELECT orders_id FROM {orders} WHERE orders_id > :after ORDER BY orders_id LIMIT :limit) next_ones;

-- name: orders_between
-- Orders of a span of numbers, and these.
SELECT o.orders_id, o.customers_id, o.customers_email_address AS email, o.customers_telephone AS phone,
    {ordered} AS ordered, o.orders_status AS status_id, o.currency, o.currency_value, {coupon} AS coupon,
    (SELECT t.value FROM {orders_total} t WHERE t.orders_id = o.orders_id AND t.class = 'ot_total' LIMIT 1) AS total,
    (SELECT GROUP_CONCAT(s.orders_status_name ORDER BY s.language_id <> :language, s.language_id SEPARATOR '|')
     FROM {orders_status} s WHERE s.orders_status_id = o.orders_status) AS status_names
FROM {orders} o
WHERE (o.orders_id > :after AND o.orders_id <= :upto) OR o.orders_id IN :these
ORDER BY o.orders_id;

-- name: orders_of
-- Orders of any of these people since then. The hour before belongs to a change of clocks; the caller drops it.
-- Addresses are compared in utf8mb4: a latin1 column refuses the whole statement because of one Cyrillic letter.
SELECT o.orders_id, o.customers_id, o.customers_email_address AS email, o.customers_telephone AS phone,
    {ordered} AS ordered, o.orders_status AS status_id, o.currency, o.currency_value, {coupon} AS coupon,
    (SELECT t.value FROM {orders_total} t WHERE t.orders_id = o.orders_id AND t.class = 'ot_total' LIMIT 1) AS total,
    (SELECT GROUP_CONCAT(s.orders_status_name ORDER BY s.language_id <> :language, s.language_id SEPARATOR '|')
     FROM {orders_status} s WHERE s.orders_status_id = o.orders_status) AS status_names
FROM {orders} o
WHERE o.date_purchased >= {since}
    AND (o.customers_id IN :people OR LOWER(CONVERT(o.customers_email_address USING utf8mb4)) IN :emails)
ORDER BY o.orders_id;

-- name: order_sums
-- A checksum for every twenty orders of the newest ones: whatever changes in an order, even what leaves no trace in a
-- date or in the history, changes its group's.
SELECT o.orders_id DIV 20 AS bucket,
    SUM(CRC32(CONCAT_WS('|', o.orders_id, o.customers_id, o.customers_email_address, o.orders_status, o.date_purchased,
        o.currency, t.value))) AS checksum
FROM {orders} o
LEFT JOIN {orders_total} t ON t.orders_id = o.orders_id AND t.class = 'ot_total'
WHERE o.orders_id > :above AND o.orders_id <= :upto
GROUP BY o.orders_id DIV 20;

-- name: newest_history^
SELECT COALESCE(MAX(orders_status_history_id), 0) AS id FROM {orders_status_history};

-- name: history_above
-- Orders, however old, whose history grew.
SELECT orders_status_history_id AS id, orders_id FROM {orders_status_history}
WHERE orders_status_history_id > :after
ORDER BY orders_status_history_id
LIMIT :limit;

-- name: statuses
SELECT orders_status_id AS id, orders_status_name AS name FROM {orders_status};

-- name: unindexed
-- Big tables whose reads by customer have no index: rows as the server estimates them.
SELECT t.TABLE_NAME AS name, t.TABLE_ROWS AS size
FROM information_schema.TABLES t
WHERE t.TABLE_SCHEMA = DATABASE() AND t.TABLE_NAME IN :tables AND t.TABLE_ROWS > :size
    AND NOT EXISTS (
        SELECT 1 FROM information_schema.STATISTICS i
        WHERE i.TABLE_SCHEMA = t.TABLE_SCHEMA AND i.TABLE_NAME = t.TABLE_NAME AND i.COLUMN_NAME = 'customers_id'
            AND i.SEQ_IN_INDEX = 1
    );

-- name: sold_out^
-- How many of the products that lie in baskets have no stock.
SELECT COUNT(*) AS lying, SUM(p.products_quantity <= 0) AS gone FROM {products} p
WHERE p.products_id IN (
    SELECT SUBSTRING_INDEX(SUBSTRING_INDEX(SUBSTRING_INDEX(products_id, '{', 1), ':', 1), 'x', 1)
    FROM {customers_basket}
);

-- name: tax_classes
SELECT DISTINCT products_tax_class_id AS tax_class FROM {products}
WHERE products_status = 1 AND products_tax_class_id > 0;
