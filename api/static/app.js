// The page: puts the stream of changes, the river, the totals, how we are, and the drawer together.

import { Drawer } from "./drawer.js";
import { number } from "./format.js";
import { Health } from "./health.js";
import { River } from "./river.js";
import { Totals } from "./totals.js";
import { follow, openSession } from "./stream.js";

const byId = (id) => document.getElementById(id);
const LINK = { live: "live", away: "read side away", broken: "connecting again", opening: "opening" };
const drawer = new Drawer(byId("drawer"), byId("river"));
const river = new River(byId("stream"), byId("banks"), (payment) => drawer.show(payment.payment_id), onFound);
const totals = new Totals(byId("totals"));

const UNKNOWN = "The server does not know this key. PAYRIVER_API_KEYS names the keys it knows.";
let paused = false;
let waiting = new Map();

function take(rows) {
  if (paused) {
    for (const row of rows) waiting.set(row.payment_id, row);
    byId("pause").textContent = `Go on (${waiting.size})`;
    return;
  }
  river.take(rows);
  totals.moved(rows.length);
  for (const row of rows) drawer.changed(row);
  byId("nothing").hidden = river.size > 0;
}

function start() {
  follow({
    snapshot: (rows) => {
      if (!paused) river.replace(rows);
      else for (const row of rows) waiting.set(row.payment_id, row);
      byId("nothing").hidden = rows.length > 0;
    },
    payments: take,
    totals: (rows) => {
      totals.show(rows);
      river.count(rows);
    },
    state: (state) => {
      byId("link").dataset.state = state;
      byId("link").textContent = LINK[state];
      if (state === "live") byId("door-says").textContent = "";
    },
    refused: knock,
  });
}

/** Ask for a key, until there is a good one. */
function knock() {
  const door = byId("door");
  byId("key").value = "";
  door.oncancel = (event) => event.preventDefault();
  door.querySelector("form").onsubmit = async (event) => {
    event.preventDefault();
    if (await openSession(byId("key").value.trim())) {
      byId("key").value = "";
      byId("door-says").textContent = "";
      door.close();
      start();
    } else {
      byId("door-says").textContent = UNKNOWN;
      byId("key").select();
    }
  };
  if (!door.open) door.showModal();
}

function pause() {
  paused = !paused;
  byId("pause").setAttribute("aria-pressed", String(paused));
  byId("pause").textContent = paused ? "Go on" : "Pause";
  if (!paused) {
    const rows = [...waiting.values()];
    waiting = new Map();
    take(rows);
  }
}

function theme() {
  const root = document.documentElement;
  const dark = root.dataset.theme ? root.dataset.theme === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
  root.dataset.theme = dark ? "light" : "dark";
  localStorage.setItem("payriver-theme", root.dataset.theme);
}

function onKey(event) {
  if (event.key === "Escape" && drawer.open) return drawer.close();
  if (event.target.matches("input") || event.ctrlKey || event.metaKey || event.altKey || byId("door").open) return undefined;
  if (event.key === "/") {
    event.preventDefault();
    byId("find").focus();
  } else if (event.key === "p") pause();
  else if (event.key.startsWith("Arrow") && !byId("drawer").contains(event.target)) river.step(event);
  return undefined;
}

function onFind(event) {
  const text = event.target.value.trim().toLowerCase();
  if (event.type === "keydown" && event.key === "Enter" && /^[0-9a-f]{8}-[0-9a-f-]{27}$/.test(text)) drawer.show(text);
  if (event.type === "keydown" && event.key === "Escape") event.target.value = "";
  river.find(event.target.value.trim().toLowerCase());
}

/** The page knows the newest payments alone: whoever looks for an older one needs its whole id. */
function onFound(text, found) {
  byId("not-found").hidden = !text || found > 0;
  byId("not-found").textContent = `None of the ${number(river.size)} payments that this page knows fits “${text}”. A whole payment id and Enter opens any.`;
}

async function begin() {
  const kept = localStorage.getItem("payriver-theme");
  if (kept) document.documentElement.dataset.theme = kept;
  byId("pause").addEventListener("click", pause);
  byId("theme").addEventListener("click", theme);
  byId("find").addEventListener("input", onFind);
  byId("find").addEventListener("keydown", onFind);
  document.addEventListener("keydown", onKey);
  addEventListener("hashchange", () => drawer.fromAddress());
  const given = new URLSearchParams(location.hash.slice(1)).get("key");
  if (given) {
    history.replaceState(null, "", location.pathname); // what stands after # was never sent; now it is not kept either
    if (!(await openSession(given))) byId("door-says").textContent = UNKNOWN;
  }
  drawer.fromAddress();
  new Health(byId("health"));
  start();
}

begin();
