// The columns and the cards in them. Whatever the load, a column shows only its newest cards, so the page stays light; a card that
// changes its column travels there (FLIP: measure, move, animate back from where it was). A column under the pointer stands still, so
// that a card can be hit.

import { amount, amounts, make, number, short, time } from "./format.js";
import { BANKS, STAGES, STREAM, stageOf } from "./stages.js";

const SHOWN = { stream: 12, banks: 3 };
const KEPT = 4000;
const MOST_TRAVELLERS = 48;
const FRAME_MS = 120;
const TRAVEL_MS = 650;
const calm = matchMedia("(prefers-reduced-motion: reduce)");

export class River {
  /** `open(payment)`: a card was chosen. `found(text, count)`: after each drawing, how many payments fit what is looked for. */
  constructor(stream, banks, open, found) {
    this.open = open;
    this.found = found;
    this.payments = new Map();
    this.columns = new Map();
    this.cards = new Map();
    this.dirty = new Set();
    this.came = new Map();
    this.text = "";
    this.timer = 0;
    for (const stage of STREAM) stream.append(this.column(stage, SHOWN.stream));
    for (const stage of BANKS) banks.append(this.column(stage, SHOWN.banks));
  }

  get size() {
    return this.payments.size;
  }

  column(stage, shown) {
    const total = make("span", { class: "count" }, "0");
    const sum = make("span", { class: "sum" }, "\u00a0");
    const list = make("ol", { "aria-label": `${stage.name}: the newest` });
    const more = make("p", { class: "more" });
    const head = make("div", { class: "head" }, make("h2", { id: `stage-${stage.id}` }, stage.name), total,
      make("p", { class: "what" }, stage.says), sum);
    const place = make("section", { class: "column", "data-stage": stage.id, "aria-labelledby": `stage-${stage.id}` }, head, list, more);
    place.addEventListener("pointerleave", () => {
      this.dirty.add(stage.id);
      this.later();
    });
    this.columns.set(stage.id, { id: stage.id, place, head, list, more, total, sum, shown, ids: new Set(), all: 0 });
    return place;
  }

  /** Start anew with these rows. */
  replace(rows) {
    for (const [id] of this.payments) this.forget(id);
    this.take(rows, false);
  }

  /** Rows that are new or changed. */
  take(rows, travel = true) {
    for (const row of rows) {
      const known = this.payments.get(row.payment_id);
      if (known && known.change >= row.change) continue;
      const stage = stageOf(row);
      if (known && known.stage !== stage) {
        this.columns.get(known.stage).ids.delete(row.payment_id);
        this.dirty.add(known.stage);
        if (travel) this.came.set(row.payment_id, known.stage);
      } else if (!known && travel) this.came.set(row.payment_id, null);
      this.payments.set(row.payment_id, Object.assign(row, { stage }));
      this.columns.get(stage).ids.add(row.payment_id);
      this.dirty.add(stage);
    }
    this.prune();
    this.later();
  }

  /** The server's counts: they are of all payments, not only of those this page knows. */
  count(rows) {
    const found = new Map(STAGES.map(({ id }) => [id, { payments: 0, sums: new Map() }]));
    for (const row of rows) {
      const of = found.get(stageOf(row));
      of.payments += row.payments;
      of.sums.set(row.currency, (of.sums.get(row.currency) ?? 0) + row.amount_minor);
    }
    for (const [id, { payments, sums }] of found) {
      const column = this.columns.get(id);
      column.all = payments;
      column.total.textContent = number(payments);
      column.sum.textContent = amounts(sums) || "\u00a0";
      column.place.classList.toggle("empty", payments === 0);
      this.sayMore(column);
    }
  }

  find(text) {
    this.text = text;
    for (const { id } of STAGES) this.dirty.add(id);
    this.later();
  }

  forget(id) {
    const payment = this.payments.get(id);
    this.columns.get(payment.stage).ids.delete(id);
    this.dirty.add(payment.stage);
    this.payments.delete(id);
  }

  prune() {
    if (this.payments.size <= KEPT * 1.25) return;
    const oldest = [...this.payments.values()].sort((one, other) => one.change - other.change);
    for (const payment of oldest.slice(0, oldest.length - KEPT)) this.forget(payment.payment_id);
  }

  later() {
    if (!this.timer) this.timer = setTimeout(() => requestAnimationFrame(() => this.draw()), FRAME_MS);
  }

  draw() {
    this.timer = 0;
    const focused = document.activeElement?.closest?.("[data-payment]")?.dataset.payment;
    const moving = !calm.matches && !document.hidden;
    const before = moving ? this.measure() : new Map();
    const dirty = [...this.dirty].map((id) => this.columns.get(id)).filter(({ place }) => !place.matches(":hover"));
    for (const { id } of dirty) this.dirty.delete(id);
    const wanted = dirty.map((column) => [column, this.newest(column)]);
    const keep = new Set(wanted.flatMap(([, payments]) => payments.map((payment) => payment.payment_id)));
    for (const [column] of wanted) this.drop(column, keep);
    for (const [column, payments] of wanted) this.fill(column, payments);
    if (moving) this.travel(before);
    this.came.clear();
    this.found(this.text, [...this.columns.values()].reduce((sum, column) => sum + (column.found ?? 0), 0));
    if (focused) this.refocus(focused);
  }

  /** Moving an element takes the focus from it; give it back. */
  refocus(id) {
    if (document.activeElement === document.body) this.cards.get(id)?.querySelector("button").focus({ preventScroll: true });
  }

  newest(column) {
    const found = [];
    for (const id of column.ids) {
      const payment = this.payments.get(id);
      if (!this.text || fits(payment, this.text)) found.push(payment);
    }
    column.found = found.length;
    return found.sort((one, other) => other.change - one.change).slice(0, column.shown);
  }

  drop(column, keep) {
    for (const card of [...column.list.children]) {
      const mine = this.cards.get(card.dataset.payment) === card;
      if (mine && keep.has(card.dataset.payment)) continue;
      if (mine) this.cards.delete(card.dataset.payment);
      card.remove();
    }
  }

  fill(column, payments) {
    payments.forEach((payment, at) => {
      const known = this.cards.get(payment.payment_id);
      const card = known && !known.closest("section:hover") ? known : this.card(payment); // one that is held stays; its twin goes on
      write(card, payment);
      if (column.list.children[at] !== card) column.list.insertBefore(card, column.list.children[at] ?? null);
    });
    this.sayMore(column);
  }

  sayMore(column) {
    const shown = column.list.children.length;
    const rest = (this.text ? column.found ?? 0 : column.all) - shown;
    column.more.textContent = rest > 0 && shown >= column.shown ? `and ${number(rest)} more` : "";
  }

  card(payment) {
    const button = make("button", { type: "button", onclick: () => this.open(this.payments.get(payment.payment_id) ?? payment) },
      make("span", { class: "who" }), make("span", { class: "amount" }), make("span", { class: "how" }), make("time"));
    const card = make("li", { "data-payment": payment.payment_id, class: "card" }, button);
    this.cards.set(payment.payment_id, card);
    return card;
  }

  measure() {
    const found = new Map();
    for (const [id, card] of this.cards) found.set(id, card.getBoundingClientRect());
    return found;
  }

  /** Let cards come from where they were: their old place, their old column's head, or from upstream. */
  travel(before) {
    let travellers = 0;
    for (const [id, card] of this.cards) {
      const now = card.getBoundingClientRect();
      const was = before.get(id) ?? this.source(id);
      if (!was) continue;
      const [x, y] = [was.left - now.left, was.top - now.top];
      if (Math.abs(x) < 1 && Math.abs(y) < 1) continue;
      const far = this.came.has(id);
      if (far && ++travellers > MOST_TRAVELLERS) continue;
      card.classList.toggle("travelling", far);
      const way = card.animate(
        [{ transform: `translate(${x}px, ${y}px)`, opacity: before.has(id) ? 1 : 0.2 }, { transform: "none", opacity: 1 }],
        { duration: far ? TRAVEL_MS : TRAVEL_MS / 2, easing: "cubic-bezier(.22,.8,.24,1)" },
      );
      way.onfinish = () => card.classList.remove("travelling");
    }
  }

  source(id) {
    if (!this.came.has(id)) return null;
    const from = this.came.get(id);
    if (from) return this.columns.get(from).head.getBoundingClientRect();
    const here = this.cards.get(id).getBoundingClientRect();
    return { left: here.left - 60, top: here.top };
  }

  /** Arrow keys: up and down in a column, left and right to the next that has cards. */
  step(event) {
    const rows = [...this.columns.values()].map((column) => [...column.list.querySelectorAll("button")]).filter((row) => row.length);
    if (!rows.length) return;
    event.preventDefault();
    const at = rows.findIndex((row) => row.includes(document.activeElement));
    if (at < 0) return void rows[0][0].focus();
    const place = rows[at].indexOf(document.activeElement);
    const aside = { ArrowLeft: -1, ArrowRight: 1 }[event.key] ?? 0;
    const along = { ArrowUp: -1, ArrowDown: 1 }[event.key] ?? 0;
    const row = rows[(at + aside + rows.length) % rows.length];
    row[Math.min(Math.max(place + along, 0), row.length - 1)].focus();
  }
}

function fits(payment, text) {
  return [payment.merchant_name, payment.card_token, payment.payment_id, payment.account_id, payment.reason]
    .some((value) => value?.toLowerCase().includes(text));
}

function write(card, payment) {
  if (card.dataset.change === String(payment.change)) return;
  card.dataset.change = payment.change;
  const [who, sum, how, when] = card.firstChild.children;
  who.textContent = payment.merchant_name ?? (payment.origin === "chain" ? "Spend seen on chain" : "Unnamed merchant");
  sum.textContent = amount(payment.amount_minor, payment.currency);
  how.textContent = payment.reason?.replaceAll("_", " ") ?? payment.card_token ?? short(payment.account_id);
  when.textContent = time(payment.changed_at).slice(0, 8);
  when.dateTime = payment.changed_at;
}
