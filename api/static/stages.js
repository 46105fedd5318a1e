// Where a payment stands on the page: five stages down the river, six places on its banks, and how far it is on each axis. The words are
// the API's own.

export const STREAM = [
  { id: "asked", name: "Asked", says: "waits for our answer" },
  { id: "approved", name: "Approved", says: "funds held, spend planned" },
  { id: "sent", name: "Sent", says: "signed, stored, broadcast" },
  { id: "seen", name: "Seen", says: "in a block, not final" },
  { id: "settled", name: "Settled", says: "its block is final" },
];

export const BANKS = [
  { id: "declined", name: "Declined", says: "nothing moved" },
  { id: "refunding", name: "Refunding", says: "on its way back" },
  { id: "refunded", name: "Refunded", says: "paid back on chain" },
  { id: "unseen", name: "Unseen", says: "a reorg dropped its block" },
  { id: "unpaid", name: "Unpaid", says: "can never move: for a person" },
  { id: "verified", name: "Verified", says: "zero amount, card is good" },
];

export const STAGES = [...STREAM, ...BANKS];
export const IN_FLIGHT = ["asked", "approved", "sent", "seen", "refunding"];
const TAKEN_BACK = ["declined", "reversed", "expired", "corrected"];

/** The stage of a payment, or of a row of totals: both carry outcome, state, spend_state and refund_state. */
export function stageOf(row) {
  if (row.outcome !== "open") return row.outcome;
  if (row.refund_state || (row.spend_state && TAKEN_BACK.includes(row.state))) return "refunding";
  if (row.spend_state === "submitted") return "sent";
  if (row.spend_state === "seen" || row.spend_state === "settled") return "seen";
  return row.state === "requested" ? "asked" : "approved";
}

const LEG = ["planned", "submitted", "seen", "settled"];
export const AXES = {
  Card: { of: "state", steps: ["requested", "authorized", "captured"] },
  Spend: { of: "spend_state", steps: LEG },
  Refund: { of: "refund_state", steps: LEG },
};

/** The steps of an axis for where the payment stands now. A spend that the chain showed us first was neither planned nor sent by us. */
export function stepsOf(name, payment) {
  const now = payment[AXES[name].of];
  const foreign = name === "Spend" && payment.origin === "chain" && !["planned", "submitted"].includes(now);
  const steps = foreign ? ["seen", "settled"] : AXES[name].steps;
  return steps.includes(now) ? steps : [...steps.slice(0, behind(name, payment, steps)), now];
}

/** How many steps lie behind what left the usual way. */
function behind(name, payment, steps) {
  if (name === "Card") return payment.authorization_code ? 2 : 1;
  if (name === "Spend") return payment.spend_tx_hash ? steps.indexOf("seen") + 1 : 1;
  return payment.refund_tx_hash ? 2 : 1;
}
