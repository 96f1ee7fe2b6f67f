// Offers a shop's carts and orders to tillbell. Fill cartsFrom and ordersFrom. Node 18 or newer, nothing to install.
"use strict";
const { createHash, timingSafeEqual } = require("node:crypto");
const { createServer } = require("node:http");

const TOKEN = process.env.FEED_TOKEN;
const line = { product_ref: "A-1", name: "Boots", quantity: 1, unit_price: "79.90" };
const CARTS = [1, 2, 3, 4, 5].map((ref) => (
  { ref, currency: "EUR", customer: { email: `c${ref}@example.org` }, lines: [line] }));
const order = { placed_at: "2026-03-01T12:00:00Z", total: "79.90", currency: "EUR", email: "c9@example.org" };
const ORDERS = [1, 2, 3].map((ref) => ({ ref, cart_ref: 100 + ref, ...order }));

// SELECT ... FROM carts WHERE id > cursor ORDER BY id LIMIT limit
const cartsFrom = (cursor, limit) => CARTS.filter((cart) => cart.ref > Number(cursor)).slice(0, limit);
// SELECT ... FROM orders WHERE change_number > cursor ORDER BY change_number LIMIT limit
const ordersFrom = (cursor, limit) => ORDERS.filter((order) => order.ref > Number(cursor)).slice(0, limit);

const hash = (text) => createHash("sha256").update(text).digest();

function answer(request, response, status, page) {
  const body = JSON.stringify(page);
  const etag = `"${hash(body).toString("hex").slice(0, 20)}"`;
  const same = status === 200 && request.headers["if-none-match"] === etag;
  response.writeHead(same ? 304 : status, { ETag: etag, "Content-Type": "application/json" });
  response.end(same ? "" : body);
}

const server = createServer((request, response) => {
  const asked = new URL(request.url, "http://shop");
  const noun = asked.pathname.split("/").pop();
  const told = request.headers.authorization || "";
  if (!timingSafeEqual(hash(told), hash(`Bearer ${TOKEN}`))) return answer(request, response, 401, { error: "not for you" });
  if (noun !== "carts" && noun !== "orders") return answer(request, response, 404, { error: "no such page" });
  const cursor = asked.searchParams.get("cursor") || "";
  const limit = Number(asked.searchParams.get("limit") || 100);
  const rows = (noun === "carts" ? cartsFrom : ordersFrom)(cursor, limit + 1);
  const page = rows.slice(0, limit);
  const more = rows.length > limit;
  const last = page.length ? String(page[page.length - 1].ref) : cursor;
  answer(request, response, 200, { [noun]: page, more, cursor: more || noun === "orders" ? last : "" });
});

server.listen(Number(process.env.PORT || 8000), "127.0.0.1", () =>
  console.log(`listening on http://127.0.0.1:${server.address().port}`));
