"use strict";
const find = (id) => document.getElementById(id);
const list = find("list");
const when = new Intl.DateTimeFormat(undefined, { weekday: "short", hour: "2-digit", minute: "2-digit", hourCycle: "h23", timeZone: "Europe/Berlin" });
let seen = 0;
let open = 0;

function text(tag, name, value) {
  const made = document.createElement(tag);
  if (name) made.className = name;
  made.textContent = value;
  return made;
}

function add(letter) {
  const item = document.createElement("li");
  const button = document.createElement("button");
  const label = letter.to.split("@")[0];
  button.append(
    text("span", "to", label),
    text("span", "at", when.format(new Date(letter.at))),
    text("span", "subject", letter.subject),
    text("span", `step ${letter.step}`, letter.step),
  );
  button.addEventListener("click", () => show(letter.number, item));
  item.append(button);
  item.dataset.words = `${letter.to} ${letter.subject} ${letter.step}`.toLowerCase();
  list.prepend(item);
}

async function show(number, item) {
  open = number;
  for (const other of list.querySelectorAll("[aria-current]")) other.removeAttribute("aria-current");
  item.setAttribute("aria-current", "true");
  const letter = await (await fetch(`/letters/${number}`)).json();
  if (open !== number) return;
  find("subject").textContent = letter.subject;
  find("people").textContent = `${letter.sender} → ${letter.to} · ${when.format(new Date(letter.at))}`;
  find("plain").textContent = letter.text;
  find("fields").replaceChildren(
    ...letter.head.map(([name, value]) => {
      const row = document.createElement("tr");
      row.append(text("th", "", name), text("td", "", value));
      return row;
    }),
  );
  find("frame").src = `/letters/${number}/html`;
  find("main").classList.add("open");
}

function filter() {
  const words = find("search").value.trim().toLowerCase();
  for (const item of list.children) item.hidden = !item.dataset.words.includes(words);
}

for (const tab of document.querySelectorAll("[data-pane]")) {
  tab.addEventListener("click", () => {
    for (const other of document.querySelectorAll("[data-pane]")) {
      other.setAttribute("aria-selected", String(other === tab));
      find(other.dataset.pane).classList.toggle("shown", other === tab);
    }
  });
}
find("width").addEventListener("click", (event) => {
  const narrow = find("html").classList.toggle("narrow");
  event.target.setAttribute("aria-pressed", String(narrow));
  event.target.textContent = narrow ? "Full width" : "Phone width";
});
find("search").addEventListener("input", filter);

async function look() {
  try {
    const fresh = await (await fetch(`/letters?after=${seen}`)).json();
    for (const letter of fresh) add(letter);
    seen += fresh.length;
    find("count").textContent = `${seen} ${seen === 1 ? "mail" : "mails"}`;
    if (fresh.length) filter();
    setTimeout(look, 1000);
  } catch {
    find("count").textContent = `${seen} mails · the demo has ended`;
  }
}
look();
