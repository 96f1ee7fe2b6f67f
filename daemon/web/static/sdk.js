/* tillbell on the shop's pages. No cookie. Before tillbell.consent({...}) nothing is read from the browser or stored in it;
   all that is sent is that a page behind a tracked click was seen. */
(() => {
  "use strict";
  const tag = document.currentScript;
  const early = window.tillbell;
  if (!tag || !tag.dataset.shop || (early && early.remove)) return;
  const base = `${new URL(tag.src).origin}/site/${encodeURIComponent(tag.dataset.shop)}/`;
  const KEY = "tillbell";
  const DAY = 86400000;
  const WORDS = ["report", "notices", "push"];
  let badge = tag.dataset.badge || "";
  let allowed = [];
  let memory = null; // what the browser keeps for us
  let waiting = []; // reports that are not sent yet
  let sending = 0;
  let push = null; // how to ask for pushes, if we may
  let wanted = false;
  let filled = false; // something lies in the cart
  let shown = null; // closes what is shown
  const ending = new AbortController();
  const gone = () => ending.signal.aborted;

  const on = (target, what, act) => target.addEventListener(what, act, { signal: ending.signal });
  const later = (act, ms) => setTimeout(() => gone() || act(), ms);
  const post = async (what, told) => {
    const answer = await fetch(base + what, {
      method: "POST", body: JSON.stringify(told), credentials: "omit", keepalive: true, referrerPolicy: "origin",
    });
    if (!answer.ok) throw Object.assign(new Error(answer.statusText), { status: answer.status });
    return answer.status === 204 ? null : answer.json();
  };
  const quietly = (promise) => promise.catch(() => {}); // no page breaks because of us
  const device = () => (matchMedia("(pointer: coarse) and (max-width: 900px)").matches ? "mobile" : "desktop");
  const newId = () => `${Date.now()}-${String(Math.random()).slice(2)}`;
  const lang = () => document.documentElement.lang || navigator.language || "";
  const me = () => ({ visitor: memory.visitor, badge, device: device(), lang: lang().slice(0, 35) });

  const perhaps = (act) => { try { return act(); } catch { return null; } }; // a private window may refuse
  const recall = () => perhaps(() => JSON.parse(localStorage.getItem(KEY))) || {};
  const keep = () => perhaps(() => localStorage.setItem(KEY, JSON.stringify(memory)));

  // A click led here: its mark leaves the address at once, and is sent after a second of being looked at.
  const land = () => {
    const here = new URL(location.href);
    const landing = here.searchParams.get("tb");
    if (!landing) return;
    here.searchParams.delete("tb");
    history.replaceState(history.state, "", here);
    let left = 12;
    const look = () => {
      if (document.visibilityState === "visible") left -= 1;
      if (left > 0) later(look, 100);
      else quietly(post("landings", { landing }));
    };
    look();
  };

  const consent = async (words) => {
    if (gone()) return;
    const before = allowed.join();
    allowed = WORDS.filter((word) => words && words[word]);
    if (!allowed.length) {
      const { visitor, endpoint } = memory || recall();
      if (endpoint) await quietly(unsubscribe());
      if (visitor) await quietly(post("visitors", { visitor, allow: [] }));
      perhaps(() => [localStorage, sessionStorage].forEach((one) => one.removeItem(KEY)));
      memory = null;
      waiting = [];
      if (shown) shown("removed");
      return;
    }
    if (allowed.join() === before) return;
    if (!memory) {
      memory = recall();
      memory.pages = (memory.pages || 0) + 1;
    }
    if (!memory.visitor || memory.allowed !== allowed.join()) await visit(words.wording);
    keep();
    if (memory.endpoint && !allowed.includes("push")) quietly(unsubscribe());
    if (badge) report("visit");
    flush();
    await look();
  };
  const visit = async (wording) => {
    const told = { visitor: memory.visitor || "", allow: allowed, wording: String(wording || ""), device: device() };
    memory.visitor = (await post("visitors", told)).visitor;
    memory.allowed = allowed.join();
    keep();
  };

  const report = (type, data) => {
    if (gone()) return;
    if (type === "cart") filled = Boolean(data && data.lines && data.lines.length);
    perhapsAsk();
    waiting = waiting.filter((one) => type !== "cart" || one.type !== "cart"); // the newest counts
    waiting.push({ id: newId(), type, data: data || {} });
    waiting = waiting.slice(-20);
    flush();
  };
  const flush = () => {
    if (!memory || !memory.visitor || !allowed.includes("report") || !waiting.length) return;
    clearTimeout(sending);
    sending = later(() => {
      const events = waiting;
      waiting = [];
      quietly(post("events", { ...me(), events }).catch((error) => {
        if (!error.status || error.status === 503) waiting = events.concat(waiting).slice(-20);
      }));
    }, 250);
  };

  const look = async (again) => {
    try {
      const found = await post("notices", me());
      push = found.push;
      if (allowed.includes("push")) quietly(renew());
      if (found.notice) hang(found.notice);
      else perhapsAsk();
      if (wanted) askForPush();
    } catch (error) {
      if (error.status !== 401 || again) return;
      memory.visitor = ""; // forgotten by the server
      await visit("");
      await look(true);
    }
  };
  const hang = (notice) => {
    const target = new URL(notice.url, location.href);
    if (target.host + target.pathname === location.host + location.pathname) return; // they are there
    if (perhaps(() => sessionStorage.getItem(KEY)) === notice.token) return; // once in each visit
    const tell = (what) => quietly(post("reactions", { notice: notice.token, what }));
    let done = false;
    const show = () => {
      if (done || gone() || shown) return;
      done = true;
      perhaps(() => sessionStorage.setItem(KEY, notice.token));
      tell("shown");
      dialog(notice, (how) => how !== "removed" && tell(how === "yes" ? "clicked" : "dismissed"));
    };
    if (notice.when !== "leaves") return void later(show, 1200);
    on(document.documentElement, "mouseleave", (event) => event.clientY <= 0 && show());
    let left = false;
    on(document, "visibilitychange", () => {
      if (document.visibilityState === "hidden") left = true;
      else if (left && device() === "mobile") show();
    });
  };

  const able = () => "serviceWorker" in navigator && "PushManager" in window && "Notification" in window;
  const askForPush = () => {
    wanted = !push;
    if (gone() || shown || !push || !able() || !allowed.includes("push")) return;
    if (Notification.permission === "denied" || memory.endpoint || Date.now() - (memory.asked || 0) < 30 * DAY) return;
    wanted = false;
    memory.asked = Date.now();
    keep();
    dialog(push, async (how) => {
      if (how === "yes" && (await Notification.requestPermission()) === "granted") {
        quietly(subscribe(`${push.title} ${push.text} ${push.button}`));
      }
    });
  };
  const perhapsAsk = () => {
    const now = push && (push.ask === "second_page" ? memory.pages > 1 : push.ask === "after_cart" && filled);
    if (now) later(askForPush, 3000);
  };
  const subscription = async () => {
    const worker = await navigator.serviceWorker.getRegistration();
    return worker && worker.pushManager.getSubscription();
  };
  const key = (one) => btoa(String.fromCharCode(...new Uint8Array(one.options.applicationServerKey)))
    .replace(/\+/g, "-").replace(/\//g, "_").replace(/=/g, "");
  const renew = async () => {
    if (!able() || !(memory.endpoint || memory.said)) return;
    const granted = Notification.permission === "granted";
    if (memory.endpoint && !(granted && (await subscription()))) await unsubscribe(); // taken back in the browser itself
    else if (granted && push && (memory.said || Date.now() - (memory.renewed || 0) > DAY)) await subscribe();
  };
  const subscribe = async (wording) => {
    memory.said = wording || memory.said || ""; // until it has been told
    keep();
    await navigator.serviceWorker.register(tag.dataset.worker || "/tillbell-sw.js");
    const worker = await navigator.serviceWorker.ready;
    let one = await worker.pushManager.getSubscription();
    if (one && key(one) !== push.key) {
      if (one.endpoint !== memory.endpoint) return; // somebody else's
      await one.unsubscribe(); // our key is another one now
      await post("unsubscriptions", { endpoint: one.endpoint });
      one = null;
    }
    one = one || (await worker.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: push.key }));
    await post("subscriptions", { ...me(), wording: memory.said, subscription: one.toJSON() });
    Object.assign(memory, { endpoint: one.endpoint, renewed: Date.now(), said: "" });
    keep();
    const note = { url: `${base}subscriptions`, key: push.key, body: { visitor: memory.visitor } };
    worker.active.postMessage({ tillbell: note }); // should the browser change it without us
  };
  const unsubscribe = async () => {
    const known = memory || recall();
    const one = able() && (await subscription());
    const ours = one && (one.endpoint === known.endpoint || (push && key(one) === push.key));
    const endpoint = ours ? one.endpoint : known.endpoint;
    if (ours) await one.unsubscribe();
    if (able()) await caches.delete("tillbell-push"); // our worker's note
    if (endpoint) await post("unsubscriptions", { endpoint });
    if (!known.visitor) return;
    Object.assign(known, { endpoint: "", said: "", asked: Date.now() });
    perhaps(() => localStorage.setItem(KEY, JSON.stringify(known)));
  };

  // In a shadow of its own: the page's styles do not reach in, and ours do not reach out.
  const STYLE = `
    :host { all: initial }
    dialog { box-sizing: border-box; width: min(26rem, calc(100vw - 2rem)); padding: 2rem 1.75rem 1.5rem; border: 0;
      border-radius: 16px; background: #fff; color: #1d2327; color-scheme: light; text-align: center;
      font: 16px/1.5 system-ui, sans-serif; box-shadow: 0 24px 64px rgb(0 0 0 / .3) }
    dialog::backdrop { background: rgb(20 24 28 / .55) }
    svg { width: 3.5rem; padding: .8rem; box-sizing: border-box; border-radius: 50% }
    svg, .yes { background: var(--accent); color: var(--on-accent) }
    h2 { margin: 1rem 0 .4rem; font-size: 1.3rem; line-height: 1.3 }
    p { margin: 0 0 1.5rem }
    p, .no, .x { color: #4a5560 }
    a, button { box-sizing: border-box; width: 100%; min-height: 3rem; padding: .7rem 1rem; border: 0; border-radius: 10px;
      background: none; font: inherit; text-decoration: none; cursor: pointer }
    .yes { display: block; margin-bottom: .4rem; font-weight: 600; box-shadow: inset 0 0 0 1px rgb(0 0 0 / .14) }
    .x { position: absolute; top: .5rem; inset-inline-end: .5rem; width: 3rem; padding: 0; font-size: 1.5rem }
    :focus-visible { outline: 3px solid #1a66d6; outline-offset: 2px }
    dialog:focus { outline: 0 }
    @media (max-width: 480px) { dialog { margin-bottom: 0; width: 100vw; max-width: 100vw; border-radius: 20px 20px 0 0 } }
    @media (prefers-reduced-motion: no-preference) { dialog { animation: up .24s ease-out }
      @keyframes up { from { opacity: 0; transform: translateY(1.5rem) } } }
    @media (forced-colors: active) { dialog, .yes { border: 2px solid } }`;
  const BASKET = "M3 4h2l2.2 10.2a1.6 1.6 0 0 0 1.6 1.3h8.1a1.6 1.6 0 0 0 1.6-1.2L20.4 8H6M9.5 20h.01M17 20h.01";
  const SVG = "http://www.w3.org/2000/svg";

  const make = (name, words, ...inside) => {
    const made = document.createElementNS(words.d || words.viewBox ? SVG : "http://www.w3.org/1999/xhtml", name);
    for (const [word, value] of Object.entries(words)) made.setAttribute(word, value);
    made.append(...inside);
    return made;
  };
  const dialog = (said, ended) => {
    const before = document.activeElement;
    const host = make("div", { class: "tillbell" });
    host.style.setProperty("--accent", said.accent);
    host.style.setProperty("--on-accent", said.onAccent);
    const root = host.attachShadow({ mode: "open" });
    const sheet = new CSSStyleSheet(); // no policy for styles forbids it
    sheet.replaceSync(STYLE);
    root.adoptedStyleSheets = [sheet];
    const button = (part, words, text) => make("button", { class: part, part, type: "button", ...words }, text);
    const yes = said.url ? make("a", { class: "yes", part: "yes", href: said.url }, said.button) : button("yes", {}, said.button);
    const no = button("no", {}, said.later);
    const x = button("x", { "aria-label": said.close }, "×");
    const line = { viewBox: "0 0 24 24", fill: "none", stroke: "currentColor", "stroke-width": "2", "stroke-linecap": "round" };
    const box = make("dialog", { role: "dialog", "aria-modal": "true", "aria-labelledby": "title", "aria-describedby": "text",
      lang: said.lang, dir: "auto", tabindex: "-1", part: "dialog", closedby: "any" },
      make("svg", { ...line, "aria-hidden": "true" }, make("path", { d: BASKET })),
      make("h2", { id: "title", part: "title" }, said.title), make("p", { id: "text", part: "text" }, said.text), yes, no, x);
    root.append(box);
    document.body.append(host);
    shown = (how) => {
      shown = null;
      box.close();
      host.remove();
      if (before && before.focus) before.focus({ preventScroll: true });
      ended(how);
    };
    const end = (how) => shown && shown(how);
    yes.addEventListener("click", () => end("yes"));
    [no, x].forEach((one) => one.addEventListener("click", () => end("no")));
    box.addEventListener("cancel", () => end("no")); // Esc, or a click beside it
    box.addEventListener("keydown", (event) => {
      if (event.key !== "Tab") return;
      const order = [yes, no, x];
      const at = order.indexOf(root.activeElement);
      event.preventDefault();
      order[event.shiftKey ? (at > 0 ? at : 3) - 1 : (at + 1) % 3].focus();
    });
    box.showModal();
    box.focus({ preventScroll: true }); // no button: who is typing must press none by it
  };

  const remove = () => {
    if (shown) shown("removed");
    ending.abort();
  };
  const api = {
    consent: (words) => quietly(consent(words)),
    cart: (cart) => report("cart", cart),
    checkout: () => report("checkout"),
    purchase: () => report("purchase"),
    identify: (text) => { badge = String(text || ""); if (badge) report("visit"); },
    askForPush,
    unsubscribe: () => quietly(unsubscribe()),
    remove,
    push: ([name, ...words]) => api[name] && api[name](...words),
  };
  window.tillbell = api;
  land();
  for (const block of document.querySelectorAll("script[type='application/json'][data-tillbell]")) {
    perhaps(() => report(block.dataset.tillbell, JSON.parse(block.textContent)));
  }
  if (Array.isArray(early)) early.forEach(api.push);
})();
