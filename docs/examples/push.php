<?php
// Posts a shop's events to tillbell. Call tillbell_post() wherever a cart or an order changes. PHP 7.1 or newer.

const TILLBELL_WAITS = [1, 10, 60, 0];

function tillbell_now(): string
{
    return (new DateTimeImmutable('now', new DateTimeZone('UTC')))->format('Y-m-d\TH:i:s.u\Z'); // fractions matter
}

// From a queue or after the page has been sent: a shopper must not wait for it. Tries again with the same id.
function tillbell_post(string $type, array $data): int
{
    $hook = getenv('HOOK_URL'); // https://t.shop.example/hooks/shop/main
    $key = base64_decode(substr(getenv('HOOK_KEY'), strlen('whsec_')));
    $id = bin2hex(random_bytes(16));
    $body = json_encode(['type' => $type, 'timestamp' => tillbell_now(), 'data' => $data]);
    $status = 0;
    foreach (TILLBELL_WAITS as $wait) {
        $now = (string) time();
        $signature = 'v1,' . base64_encode(hash_hmac('sha256', "$id.$now.$body", $key, true));
        $headers = ['Content-Type: application/json', "webhook-id: $id", "webhook-timestamp: $now", "webhook-signature: $signature"];
        $options = ['method' => 'POST', 'header' => $headers, 'content' => $body, 'timeout' => 5, 'ignore_errors' => true];
        $answer = @file_get_contents($hook, false, stream_context_create(['http' => $options]));
        $status = isset($http_response_header) ? (int) explode(' ', $http_response_header[0])[1] : 0;
        if ($status >= 400) {
            echo "$status $answer\n";
        }
        if ($status > 0 && $status < 500) {
            return $status; // 202, or our own mistake: the text says which
        }
        sleep($wait);
    }
    return $status;
}

if (realpath($_SERVER['SCRIPT_FILENAME']) === __FILE__) {
    $customer = ['ref' => 3, 'email' => 'ada@example.org', 'first_name' => 'Ada', 'locale' => 'en'];
    $lines = [['product_ref' => 'A-1', 'name' => 'Boots', 'quantity' => 1, 'unit_price' => '79.90']];
    echo tillbell_post('cart.updated', ['ref' => 7, 'currency' => 'EUR', 'customer' => $customer, 'lines' => $lines]), "\n";
    $order = ['ref' => 9, 'cart_ref' => 7, 'customer_ref' => 3, 'currency' => 'EUR', 'total' => '79.90'];
    echo tillbell_post('order.placed', $order + ['placed_at' => tillbell_now()]), "\n";
}
