// The strip above the river: what there is in all, and how much moves in a minute.

import { amounts, make, number } from "./format.js";
import { IN_FLIGHT, stageOf } from "./stages.js";

const TILES = [
  { id: "all", name: "Payments", of: () => true },
  { id: "flight", name: "In flight", of: (stage) => IN_FLIGHT.includes(stage) },
  { id: "settled", name: "Settled", of: (stage) => stage === "settled" },
  { id: "declined", name: "Declined", of: (stage) => stage === "declined" },
  { id: "refunded", name: "Refunded", of: (stage) => stage === "refunded" },
];
const SECONDS = 60;

export class Totals {
  constructor(place) {
    this.tiles = new Map();
    for (const tile of TILES) {
      const [value, sum] = [make("strong", {}, "–"), make("span", { class: "sum" }, "\u00a0")];
      place.append(make("div", { class: "tile", "data-tile": tile.id }, make("span", { class: "name" }, tile.name), value, sum));
      this.tiles.set(tile.id, { value, sum });
    }
    this.rate = make("strong", {}, "0");
    this.bars = Array.from({ length: SECONDS }, () => make("i"));
    place.append(make("div", { class: "tile pulse" }, make("span", { class: "name" }, "Changes in the last minute"), this.rate,
      make("span", { class: "spark", "aria-hidden": "true" }, ...this.bars)));
    this.perSecond = new Array(SECONDS).fill(0);
    setInterval(() => this.tick(), 1000);
  }

  /** Rows of (outcome, states, currency) with their count and sum. */
  show(rows) {
    for (const tile of TILES) {
      let payments = 0;
      const sums = new Map();
      for (const row of rows) {
        if (!tile.of(stageOf(row))) continue;
        payments += row.payments;
        sums.set(row.currency, (sums.get(row.currency) ?? 0) + row.amount_minor);
      }
      const { value, sum } = this.tiles.get(tile.id);
      value.textContent = number(payments);
      sum.textContent = amounts(sums) || "\u00a0";
    }
  }

  moved(changes) {
    this.perSecond[SECONDS - 1] += changes;
  }

  tick() {
    const most = Math.max(4, ...this.perSecond);
    this.perSecond.forEach((changes, at) => {
      this.bars[at].style.setProperty("--height", (changes / most).toFixed(3));
    });
    this.rate.textContent = number(this.perSecond.reduce((sum, each) => sum + each, 0));
    this.perSecond.push(0);
    this.perSecond.shift();
  }
}
