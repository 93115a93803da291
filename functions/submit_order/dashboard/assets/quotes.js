/** Every venue's answer to a swap, side by side, and the route: in the ticket, on cards and in the audit trail. */

import { bpsBetween, compare, significant } from "./decimal.js";
import { el } from "./dom.js";
import { amount, openSide } from "./format.js";

/** @param {object[]} quotes as events have them @param {object} order whose `swapMode` says which side is compared */
export function quoteTable(quotes, order, dex, caption) {
  const side = openSide(order);
  const isBuy = side.field === "amountIn";
  const answered = quotes.filter((quote) => quote[side.field]);
  const ranked = answered.sort((a, b) => compare(a[side.field], b[side.field]) * (isBuy ? 1 : -1));
  const best = ranked[0]?.[side.field];
  const silent = quotes.filter((quote) => !quote[side.field]);
  return el(
    "table",
    { class: "quotes" },
    el("caption", { class: "hidden" }, caption),
    el(
      "thead",
      {},
      el(
        "tr",
        {},
        heading("Venue"),
        heading(side.name, side.token),
        heading("Fee", order.tokenIn),
        heading("Impact", "bps"),
        heading("Behind", "bps"),
      ),
    ),
    el("tbody", {}, ...ranked.map((quote) => row(quote, side, best, dex)), ...silent.map(silentRow)),
  );
}

/** "1.5 wSOL → 230.305141 USDC on raydium", for each leg. */
export function routeText(legs) {
  const texts = legs.map(
    (leg) => `${amount(leg.amountIn)} ${leg.tokenIn} → ${amount(leg.amountOut)} ${leg.tokenOut} on ${leg.dex}`,
  );
  return texts.join("; ");
}

function heading(name, unit) {
  return el("th", { scope: "col", class: unit ? "number" : null }, name, unit && el("small", {}, ` ${unit}`));
}

function row(quote, side, best, dex) {
  const isChosen = dex?.split("+").includes(quote.dex);
  const behind = quote[side.field] === best ? "best" : bpsBetween(best, quote[side.field]);
  const fee = el("span", { title: quote.fee }, amount(significant(quote.fee, 3)));
  const cells = [amount(quote[side.field]), fee, quote.priceImpactBps, behind];
  return el(
    "tr",
    { class: isChosen ? "chosen" : null },
    el("th", { scope: "row" }, quote.dex, isChosen && el("span", { class: "hidden" }, " (chosen)")),
    ...cells.map((cell) => el("td", { class: "number" }, cell)),
  );
}

function silentRow(quote) {
  const error = el("td", { colspan: 4, class: "wrong" }, `${quote.error} (${quote.errorCode})`);
  return el("tr", {}, el("th", { scope: "row" }, quote.dex), error);
}
