// How we are, for whoever runs us: how far the read side is behind, how old our view of the chain is, and what waits for a person.

import { make, number, span } from "./format.js";

const EVERY_MS = 5000;
const PARKED = { message: ["parked_write_messages", "parked_read_messages"], saga: ["parked_sagas"], webhook: ["parked_webhooks"] };

export class Health {
  constructor(place) {
    this.place = place;
    this.look();
    setInterval(() => document.hidden || this.look(), EVERY_MS);
  }

  /** Ask; the answer needs no key, and is one also where a server is away. */
  async look() {
    const told = await fetch("/health/ready").then((answer) => answer.json()).catch(() => null);
    const parts = told ? [servers(told), read(told), anew(told), chain(told), parked(told)] : [["bad", "this server does not answer"]];
    this.place.replaceChildren(...parts.filter(Boolean).map(([state, says]) => make("span", { "data-state": state }, says)));
  }
}

function servers({ servers }) {
  const away = servers.filter((server) => !server.reachable).map((server) => server.name);
  return away.length ? ["bad", `no answer from PostgreSQL ${away.join(" and ")}`] : null;
}

function read({ lag_events, lag_seconds, read_late_seconds }) {
  if (lag_events === null) return null;
  const behind = `${span((lag_seconds ?? 0) * 1000)} behind, ${number(lag_events)} events to come`;
  return [lag_seconds > read_late_seconds ? "bad" : "well", lag_events ? `read side ${behind}` : "read side up to date"];
}

function anew({ set_aside_shown, rebuilding_since }) {
  if (set_aside_shown) return ["bad", `${number(set_aside_shown)} events are shown that were put aside (payriver projections rebuild)`];
  return rebuilding_since ? ["well", "the read models are being made anew"] : null;
}

function chain({ chain_block_number, chain_age_seconds, chain_stale_seconds }) {
  if (chain_block_number === null) return null;
  return [chain_age_seconds > chain_stale_seconds ? "bad" : "well", `block ${number(chain_block_number)}, ${span(chain_age_seconds * 1000)} ago`];
}

function parked(told) {
  const counts = Object.entries(PARKED).map(([kind, fields]) => [kind, fields.reduce((sum, field) => sum + (told[field] ?? 0), 0)]);
  const waiting = counts.filter(([, count]) => count).map(([kind, count]) => `${number(count)} ${kind}${count === 1 ? "" : "s"}`);
  return waiting.length ? ["bad", `parked, for a person: ${waiting.join(", ")} (payriver parked list)`] : ["well", "nothing waits for a person"];
}
