// One payment's story: both axes, every event with its times and its place in Kafka, and what its account may spend.

import { amount, date, make, short, span, time, tokens, words } from "./format.js";
import { AXES, STAGES, stageOf, stepsOf } from "./stages.js";
import { ask } from "./stream.js";

const MOST_EVENTS = 500;

export class Drawer {
  constructor(place, back) {
    this.place = place;
    this.back = back;
    this.id = null;
    this.timer = 0;
    this.unfolded = new Set();
  }

  get open() {
    return !this.place.hidden;
  }

  /** The address names a payment: #payment=ID. */
  fromAddress() {
    const id = new URLSearchParams(location.hash.slice(1)).get("payment");
    if (id && id !== this.id) this.show(id);
    if (!id && this.open) this.close();
  }

  async show(id) {
    if (!this.open) this.cameFrom = document.activeElement;
    const first = id !== this.id;
    this.id = id;
    if (first) {
      this.unfolded.clear();
      this.place.replaceChildren(this.bar(), make("p", { class: "wait" }, "Reading its story …"));
    }
    this.place.hidden = false;
    document.body.classList.add("has-drawer");
    history.replaceState(null, "", `#payment=${id}`);
    if (first) this.place.querySelector("button").focus();
    try {
      const [payment, told] = await Promise.all([
        ask(`/v1/payments/${id}`), ask(`/v1/payments/${id}/events?limit=${MOST_EVENTS}`),
      ]);
      const balance = await ask(`/v1/accounts/${payment.account_id}/balance`).catch(() => null);
      if (id === this.id) this.draw(payment, told.events, balance);
    } catch (error) {
      if (id === this.id) this.place.replaceChildren(this.bar(), make("p", { class: "wait" }, error.message));
    }
  }

  /** The payment shown changed: read again, a little later, for changes come in pairs. */
  changed(row) {
    if (!this.open || row.payment_id !== this.id) return;
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.open && this.show(this.id), 250);
  }

  close() {
    this.place.hidden = true;
    this.id = null;
    document.body.classList.remove("has-drawer");
    history.replaceState(null, "", location.pathname);
    (this.cameFrom?.isConnected ? this.cameFrom : this.back).focus();
  }

  bar() {
    return make("div", { class: "bar" }, make("span", {}, "Payment"),
      make("button", { type: "button", onclick: () => this.close(), "aria-label": "Close" }, "✕"));
  }

  draw(payment, events, balance) {
    const focused = this.place.contains(document.activeElement) ? document.activeElement.dataset.key : null;
    const top = this.place.scrollTop;
    this.place.dataset.stage = stageOf(payment);
    this.place.replaceChildren(this.bar(), head(payment), axes(payment), facts(payment), this.story(events), account(balance, payment));
    this.place.scrollTop = top;
    const again = focused ? this.place.querySelector(`[data-key="${CSS.escape(focused)}"]`) : null;
    (again ?? this.place.querySelector("button")).focus({ preventScroll: true });
  }

  story(events) {
    const began = events.length ? Date.parse(events[0].recorded_at) : 0;
    const items = events.map((event) => this.event(event, began));
    return make("section", { class: "story" }, make("h3", {}, `What happened (${events.length})`), make("ol", {}, ...items));
  }

  event(event, began) {
    const after = Date.parse(event.recorded_at) - began;
    const way = Date.parse(event.delivered_at) - Date.parse(event.recorded_at);
    const where = event.topic ? `${event.topic} / ${event.partition} @ ${event.offset}` : "from the event store";
    const fold = make("details", { open: this.unfolded.has(event.event_id) },
      make("summary", { "data-key": event.event_id },
        make("span", { class: "type" }, words(event.type)),
        make("span", { class: "detail" }, event.says ?? ""),
        make("span", { class: "when" }, time(event.recorded_at)),
        make("span", { class: "after" }, event.version === 1 ? "begins" : `+ ${span(after)}`),
        make("span", { class: "where" }, `${by(event)}${where} · read ${span(way)} later`)),
      table(event.payload), make("h4", {}, "Headers"), table({ position: event.position, event_id: event.event_id, ...event.headers }));
    fold.addEventListener("toggle", () => this.unfolded[fold.open ? "add" : "delete"](event.event_id));
    return make("li", {}, fold);
  }
}

function head(payment) {
  const stage = STAGES.find(({ id }) => id === stageOf(payment));
  return make("div", { class: "title" },
    make("h2", { id: "drawer-title" }, payment.merchant_name ?? (payment.origin === "chain" ? "Spend seen on chain" : "Unnamed merchant")),
    make("p", { class: "big" }, amount(payment.amount_minor, payment.currency)),
    make("p", {}, make("span", { class: "chip" }, stage.name), ` ${payment.reason ? payment.reason.replaceAll("_", " ") : stage.says}`));
}

function axes(payment) {
  const rows = Object.keys(AXES).filter((name) => payment[AXES[name].of]).map((name) => {
    const steps = stepsOf(name, payment);
    const reached = steps.indexOf(payment[AXES[name].of]);
    return make("div", { class: "axis" }, make("span", { class: "name" }, name),
      make("ol", {}, ...steps.map((step, at) => make("li", { class: at <= reached ? "done" : "", "aria-current": at === reached ? "step" : null }, words(step)))));
  });
  return make("section", { class: "axes", "aria-label": "Card leg and chain legs" }, ...rows);
}

function facts(payment) {
  const rows = {
    payment: payment.payment_id, account: payment.account_id, card: payment.card_token, began: `${date(payment.requested_at)}, ${time(payment.requested_at)}`,
    origin: payment.origin, country: payment.merchant_country, "category (MCC)": payment.mcc, "response code": payment.response_code,
    "authorization code": payment.authorization_code, "network reference": payment.network_reference,
    approved: payment.authorized_minor ? amount(payment.authorized_minor, payment.currency) : null,
    open: payment.open_minor ? amount(payment.open_minor, payment.currency) : null,
    captured: payment.captured_minor ? amount(payment.captured_minor, payment.currency) : null,
    "given back": payment.refunded_minor ? amount(payment.refunded_minor, payment.currency) : null,
    "credited for a dispute": payment.credited_minor ? amount(payment.credited_minor, payment.currency) : null,
    "owed by the holder": payment.receivable_raw !== "0" ? tokens(payment.receivable_raw, payment.decimals) : null,
    "in tokens": tokens(payment.amount_raw, payment.decimals), block: payment.block_number,
    "spend transaction": payment.spend_tx_hash, "refund transaction": payment.refund_tx_hash,
  };
  return make("section", {}, table(rows));
}

function account(balance, payment) {
  if (!balance) return make("section", {}, make("p", { class: "wait" }, `The account ${short(payment.account_id)} is not one of ours.`));
  const parts = [["spendable", balance.spendable_minor], ["held", balance.held_minor], ["on its way", balance.pending_minor], ["in all", balance.total_minor]];
  const blocked = balance.blocked_by ? make("p", { class: "blocked" }, `Nothing would be approved now: ${words(balance.blocked_by)}.`) : null;
  return make("section", { class: "account" }, make("h3", {}, "Its account now"),
    make("dl", {}, ...parts.map(([name, minor]) => make("div", {}, make("dt", {}, name), make("dd", {}, amount(minor, balance.currency))))), blocked);
}

/** Which order led to it, and whose. */
function by({ headers }) {
  return headers.command ? `${headers.command} by ${headers.actor} · ` : "";
}

function table(values) {
  const rows = Object.entries(values).filter(([, value]) => value !== null && value !== undefined && value !== "");
  return make("dl", { class: "table" }, ...rows.flatMap(([name, value]) => [make("dt", {}, name.replaceAll("_", " ")), make("dd", {}, String(value))]));
}
