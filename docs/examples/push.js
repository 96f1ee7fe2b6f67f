// Posts a shop's events to tillbell. Call `post` wherever a cart or an order changes. Node 18 or newer, nothing to install.
"use strict";
const { createHmac, randomUUID } = require("node:crypto");

const HOOK = process.env.HOOK_URL; // https://t.shop.example/hooks/shop/main
const KEY = Buffer.from(process.env.HOOK_KEY.replace("whsec_", ""), "base64");

// In the background or from a queue of yours: a shopper must not wait for it. Tries again with the same id.
async function post(type, data) {
  const id = randomUUID();
  const body = JSON.stringify({ type, timestamp: new Date().toISOString(), data });
  let status = 0;
  for (const wait of [1, 10, 60, 0]) {
    const now = Math.floor(Date.now() / 1000).toString();
    const signature = "v1," + createHmac("sha256", KEY).update(`${id}.${now}.${body}`).digest("base64");
    const headers = { "webhook-id": id, "webhook-timestamp": now, "webhook-signature": signature };
    try {
      const answer = await fetch(HOOK, { method: "POST", headers, body, signal: AbortSignal.timeout(5000) });
      status = answer.status;
      if (status >= 400) console.log(status, await answer.text());
      if (status < 500) return status; // 202, or our own mistake: the text says which
    } catch (error) {
      console.log(String(error));
    }
    await new Promise((done) => setTimeout(done, wait * 1000));
  }
  return status;
}

module.exports = { post };

if (require.main === module) {
  (async () => {
    const customer = { ref: 3, email: "ada@example.org", first_name: "Ada", locale: "en" };
    const lines = [{ product_ref: "A-1", name: "Boots", quantity: 1, unit_price: "79.90" }];
    console.log(await post("cart.updated", { ref: 7, currency: "EUR", customer, lines }));
    const order = { ref: 9, cart_ref: 7, customer_ref: 3, currency: "EUR", total: "79.90" };
    console.log(await post("order.placed", { ...order, placed_at: new Date().toISOString() }));
  })();
}
