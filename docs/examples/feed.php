<?php
// Offers a shop's carts and orders to tillbell: https://shop.example/feed.php/carts and /orders. PHP 7.1 or newer.
// Fill carts_from() and orders_from(). The address for tillbell is the one that ends in feed.php.

function carts_from(int $cursor, int $limit): array
{
    // SELECT ... FROM carts WHERE id > $cursor ORDER BY id LIMIT $limit
    $line = ['product_ref' => 'A-1', 'name' => 'Boots', 'quantity' => 1, 'unit_price' => '79.90'];
    $cart = function (int $ref) use ($line): array {
        return ['ref' => $ref, 'currency' => 'EUR', 'customer' => ['email' => "c$ref@example.org"], 'lines' => [$line]];
    };
    return array_map($cart, array_slice(array_slice(range(1, 5), $cursor), 0, $limit));
}

function orders_from(int $cursor, int $limit): array
{
    // SELECT ... FROM orders WHERE change_number > $cursor ORDER BY change_number LIMIT $limit
    $order = function (int $ref): array {
        $told = ['placed_at' => '2026-03-01T12:00:00Z', 'total' => '79.90', 'currency' => 'EUR', 'email' => 'c9@example.org'];
        return ['ref' => $ref, 'cart_ref' => 100 + $ref] + $told;
    };
    return array_map($order, array_slice(array_slice(range(1, 3), $cursor), 0, $limit));
}

function answer(int $status, array $page)
{
    $body = json_encode($page);
    $etag = '"' . substr(hash('sha256', $body), 0, 20) . '"';
    $same = $status === 200 && ($_SERVER['HTTP_IF_NONE_MATCH'] ?? '') === $etag;
    http_response_code($same ? 304 : $status);
    header('Content-Type: application/json');
    header("ETag: $etag");
    echo $same ? '' : $body;
    exit;
}

$noun = basename(parse_url($_SERVER['REQUEST_URI'], PHP_URL_PATH));
// Apache hands it on with: SetEnvIf Authorization "(.*)" HTTP_AUTHORIZATION=$1
if (!hash_equals('Bearer ' . getenv('FEED_TOKEN'), $_SERVER['HTTP_AUTHORIZATION'] ?? '')) {
    answer(401, ['error' => 'not for you']);
}
if ($noun !== 'carts' && $noun !== 'orders') {
    answer(404, ['error' => 'no such page']);
}
$cursor = (int) ($_GET['cursor'] ?? 0);
$limit = (int) ($_GET['limit'] ?? 100);
$rows = $noun === 'carts' ? carts_from($cursor, $limit + 1) : orders_from($cursor, $limit + 1);
$page = array_slice($rows, 0, $limit);
$more = count($rows) > $limit;
$last = $page ? (string) end($page)['ref'] : (string) $cursor;
answer(200, [$noun => $page, 'more' => $more, 'cursor' => $more || $noun === 'orders' ? $last : '']);
