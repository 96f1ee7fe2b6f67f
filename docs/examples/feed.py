# ruff: noqa: TID251
"""Offers a shop's carts and orders to tillbell. Fill `carts_from` and `orders_from`. Nothing to install."""

import hmac
import json
import os
from datetime import UTC, datetime
from hashlib import sha256
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

TOKEN = os.environ["FEED_TOKEN"]
LINE = {"product_ref": "A-1", "name": "Boots", "quantity": 1, "unit_price": "79.90"}
CARTS = [
    {"ref": n, "currency": "EUR", "customer": {"email": f"c{n}@example.org"}, "lines": [LINE]} for n in range(1, 6)
]
ORDER = {"placed_at": "2026-03-01T12:00:00Z", "total": "79.90", "currency": "EUR", "email": "c9@example.org"}
ORDERS = [{"ref": n, "cart_ref": 100 + n, **ORDER} for n in range(1, 4)]


def carts_from(cursor: str, limit: int) -> list[dict]:
    """SELECT ... FROM carts WHERE id > cursor ORDER BY id LIMIT limit"""
    return [cart for cart in CARTS if cart["ref"] > int(cursor or 0)][:limit]


def orders_from(cursor: str, limit: int) -> list[dict]:
    """SELECT ... FROM orders WHERE change_number > cursor ORDER BY change_number LIMIT limit"""
    return [order for order in ORDERS if order["ref"] > int(cursor or 0)][:limit]


class Feed(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        noun, query = asked.path.rsplit("/", 1)[1], parse_qs(asked.query)
        if not hmac.compare_digest(self.headers["Authorization"] or "", f"Bearer {TOKEN}"):
            return self.answer(401, {"error": "not for you"})
        if noun not in ("carts", "orders"):
            return self.answer(404, {"error": "no such page"})
        cursor, limit = query.get("cursor", [""])[0], int(query.get("limit", ["100"])[0])
        rows = (carts_from if noun == "carts" else orders_from)(cursor, limit + 1)
        page, more = rows[:limit], len(rows) > limit
        last = str(page[-1]["ref"]) if page else cursor
        return self.answer(200, {noun: page, "more": more, "cursor": last if more or noun == "orders" else ""})

    def answer(self, status: int, page: dict) -> None:
        body = json.dumps(page).encode()
        etag = f'"{sha256(body).hexdigest()[:20]}"'
        same = status == 200 and self.headers["If-None-Match"] == etag
        self.send_response(304 if same else status)
        self.send_header("ETag", etag)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", "0" if same else str(len(body)))
        self.end_headers()
        self.wfile.write(b"" if same else body)


if __name__ == "__main__":
    server = ThreadingHTTPServer(("127.0.0.1", int(os.environ.get("PORT", "8000"))), Feed)
    print(f"{datetime.now(UTC):%H:%M} listening on http://127.0.0.1:{server.server_port}", flush=True)
    server.serve_forever()
