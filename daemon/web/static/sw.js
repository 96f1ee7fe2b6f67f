/* tillbell's service worker: shows a push, opens what is clicked, and subscribes anew when the browser has to.
   A shop's own worker may take it in with importScripts: it answers to nothing but tillbell's own pushes. */
"use strict";
(() => {
  const OURS = "tillbell";
  const SHELF = "tillbell-push";
  const NOTE = "/tillbell-push-renewal";

  const read = (data) => {
    try {
      return data.json();
    } catch {
      return {};
    }
  };

  self.addEventListener("push", (event) => {
    const told = event.data ? read(event.data) : {};
    if (told.by !== OURS) return;
    const buttons = told.actions || [];
    const shown = {
      body: told.body,
      tag: told.tag, // what has the same tag is shown once
      lang: told.lang,
      dir: told.dir,
      icon: told.icon,
      image: told.image,
      actions: buttons.map(({ action, title }) => ({ action, title })),
      data: {
        by: OURS,
        url: told.url,
        urls: Object.fromEntries(buttons.map(({ action, url }) => [action, url])),
      },
    };
    for (const word of Object.keys(shown)) if (shown[word] === undefined) delete shown[word];
    event.waitUntil(self.registration.showNotification(told.title, shown));
  });

  self.addEventListener("notificationclick", (event) => {
    const kept = event.notification.data;
    if (!kept || kept.by !== OURS) return;
    event.notification.close();
    const url = kept.urls[event.action] || kept.url;
    if (url) event.waitUntil(self.clients.openWindow(url));
  });

  // The page says where a new subscription is told, with what, and for which key: {tillbell: {url, key, body}}. Without it,
  // the next page tells it.
  self.addEventListener("message", (event) => {
    const note = event.data && event.data[OURS];
    if (!note || typeof note.url !== "string") return;
    const keep = caches.open(SHELF).then((shelf) => shelf.put(NOTE, new Response(JSON.stringify(note))));
    event.waitUntil(keep);
  });

  const renewed = async (old) => {
    const note = await caches.match(NOTE, { cacheName: SHELF }).then((found) => found && found.json());
    const key = (note && note.key) || (old && old.options && old.options.applicationServerKey); // not every browser has it
    if (!key) return;
    const made = await self.registration.pushManager.subscribe({ userVisibleOnly: true, applicationServerKey: key });
    if (!note) return;
    const body = JSON.stringify({ ...note.body, wording: "", subscription: made.toJSON() });
    // As the script of the page does: plain text needs no question in advance from another origin.
    await fetch(note.url, { method: "POST", body, headers: { "Content-Type": "text/plain" }, credentials: "omit" });
  };

  self.addEventListener("pushsubscriptionchange", (event) => {
    event.waitUntil(renewed(event.oldSubscription));
  });
})();
