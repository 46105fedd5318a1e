// How things are written on the page. Amounts come as integers of minor units and become text only here.

const money = new Map();
const count = new Intl.NumberFormat("en");
const clock = new Intl.DateTimeFormat("en-GB", {
  hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3,
});
const day = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium" });

function formatOf(currency) {
  if (!money.has(currency)) money.set(currency, new Intl.NumberFormat("en-IE", { style: "currency", currency }));
  return money.get(currency);
}

/** Minor units as money: 1234, EUR -> €12.34. */
export function amount(minor, currency) {
  const format = formatOf(currency);
  return format.format(minor / 10 ** format.resolvedOptions().maximumFractionDigits);
}

/** Sums of several currencies side by side. */
export function amounts(sums) {
  return [...sums].map(([currency, minor]) => amount(minor, currency)).join(" · ");
}

/** Raw token units exactly, with the point put in as text: "1234", 2 -> 12.34. */
export function tokens(raw, decimals) {
  const negative = raw.startsWith("-");
  const digits = (negative ? raw.slice(1) : raw).padStart(decimals + 1, "0");
  const fraction = decimals ? digits.slice(-decimals).replace(/0+$/, "") : "";
  const whole = digits.slice(0, digits.length - decimals).replace(/\B(?=(\d{3})+$)/g, ",");
  return `${negative ? "−" : ""}${whole}${fraction ? `.${fraction}` : ""}`;
}

export const number = (value) => count.format(value);
export const time = (iso) => clock.format(new Date(iso));
export const date = (iso) => day.format(new Date(iso));
export const short = (id) => (id && id.length > 14 ? `${id.slice(0, 8)}…${id.slice(-4)}` : id ?? "");

/** A span of time in the largest unit that says enough. */
export function span(milliseconds) {
  const value = Math.abs(milliseconds);
  if (value < 1000) return `${Math.round(value)} ms`;
  if (value < 60_000) return `${(value / 1000).toFixed(value < 10_000 ? 2 : 1)} s`;
  if (value < 3_600_000) return `${Math.floor(value / 60_000)} min ${Math.round((value % 60_000) / 1000)} s`;
  if (value < 86_400_000) return `${(value / 3_600_000).toFixed(1)} h`;
  return `${(value / 86_400_000).toFixed(1)} d`;
}

/** LegPlanned -> leg planned; insufficient_funds -> insufficient funds. */
export const words = (name) => name.replace(/([a-z])([A-Z])/g, "$1 $2").replaceAll("_", " ").toLowerCase();

/** An element: tag, attributes (on… are listeners), children. Text is only ever text: nothing here parses HTML. */
export function make(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== undefined && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null && child !== undefined));
  return element;
}
