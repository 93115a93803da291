/** How values look on the page. */

import { bpsToPercent, significant } from "./decimal.js";

const TIME = new Intl.DateTimeFormat(undefined, {
  hour: "2-digit",
  minute: "2-digit",
  second: "2-digit",
  hour12: false,
});
const DAY = new Intl.DateTimeFormat(undefined, { day: "2-digit", month: "short" });

/** All digits of an amount, thousands apart: "1 234 567.000001". */
export function amount(text) {
  if (text === null || text === undefined) return "–";
  const [whole, fraction] = String(text).split(".");
  const grouped = whole.replace(/\B(?=(\d{3})+$)/g, "\u2009");
  return fraction ? `${grouped}.${fraction}` : grouped;
}

/** Enough digits of a price to compare by. The title has the rest. */
export function price(text) {
  return text ? amount(significant(text, 7)) : "–";
}

export function bps(text, { signed = false } = {}) {
  if (text === null || text === undefined) return "–";
  return `${signed && !text.startsWith("-") && text !== "0" ? "+" : ""}${text.replace("-", "−")} bps`;
}

export function percent(bps) {
  return `${bpsToPercent(bps)} %`;
}

export function duration(ms) {
  if (ms === null || ms === undefined || Number.isNaN(ms)) return "–";
  if (ms < 1000) return `${Math.max(0, Math.round(ms))} ms`;
  if (ms < 60_000) return `${(ms / 1000).toFixed(ms < 10_000 ? 2 : 1)} s`;
  const minutes = Math.floor(ms / 60_000);
  if (minutes < 60) return `${minutes} min ${Math.floor((ms % 60_000) / 1000)} s`;
  const hours = Math.floor(minutes / 60);
  return hours < 48 ? `${hours} h ${minutes % 60} min` : `${Math.floor(hours / 24)} days`;
}

/** Local time of day; with the day when that is not today. */
export function moment(timestamp) {
  const at = new Date(timestamp);
  const isToday = at.toDateString() === new Date().toDateString();
  return isToday ? TIME.format(at) : `${DAY.format(at)}, ${TIME.format(at)}`;
}

export function short(id, head = 8, tail = 0) {
  return id.length <= head + tail + 1 ? id : `${id.slice(0, head)}…${tail ? id.slice(-tail) : ""}`;
}

/** What an order is about: "Sell 1.5 SOL for USDC". */
export function title(order) {
  return order.swapMode === "exactOut"
    ? `Buy ${amount(order.amount)} ${order.tokenOut} with ${order.tokenIn}`
    : `Sell ${amount(order.amount)} ${order.tokenIn} for ${order.tokenOut}`;
}

/** The side that the venues decide: what comes out, or, of an order to buy, what goes in. */
export function openSide(order) {
  return order.swapMode === "exactOut"
    ? { field: "amountIn", token: order.tokenIn, limit: "maxAmountIn", limitName: "Most to pay", name: "Pays" }
    : {
        field: "amountOut",
        token: order.tokenOut,
        limit: "minAmountOut",
        limitName: "Least to receive",
        name: "Receives",
      };
}
