/** The live quote beside the ticket: what the venues would answer now, without placing anything. */

import { getQuote, Problem } from "./api.js";
import { byId, el, facts, renew, setText } from "./dom.js";
import { amount, bps, moment, openSide, price } from "./format.js";
import { debounce, poll } from "./polling.js";
import { quoteTable, routeText } from "./quotes.js";

const DEBOUNCE_MS = 300;

/** @param {import("./ticket.js").Ticket} ticket */
export function showQuotes(ticket, settings) {
  let superseded = new AbortController();
  let shown = null;

  async function refresh() {
    superseded.abort();
    if (ticket.isPlacing) return;
    const { order, errors } = ticket.read();
    if (Object.keys(errors).length) return answer(null, "", "Fill in the ticket for a quote.");
    superseded = new AbortController();
    const { signal } = superseded;
    try {
      answer(await getQuote(order, signal), "");
    } catch (problem) {
      if (signal.aborted) return;
      if (!(problem instanceof Problem)) throw problem;
      const { fields, rest } = ticket.sort(problem);
      ticket.showErrors(fields);
      answer(null, rest);
      if (problem.retryable) throw problem;
    }
  }

  function answer(quote, error, hint = "") {
    shown = quote;
    byId("quote").setAttribute("aria-busy", "false");
    setText(byId("quote-error"), error);
    renew(byId("quote-answer"), quote ?? `${hint}${error}`, () =>
      quote ? summary(quote) : [hint && el("p", { class: "empty" }, hint)],
    );
  }

  answer(null, "", "Asking the venues…");
  const now = poll(refresh, settings.quoteSeconds);
  const soon = debounce(now, DEBOUNCE_MS);
  ticket.onChange(() => {
    superseded.abort();
    const { order } = ticket.read();
    // Of another swap, no number may stay.
    if (shown && ["tokenIn", "tokenOut", "swapMode"].some((name) => shown[name] !== order[name])) {
      answer(null, "", "Asking the venues…");
    }
    byId("quote").setAttribute("aria-busy", "true");
    soon();
  });
}

function summary(quote) {
  const side = openSide(quote);
  return [
    el(
      "p",
      { class: "headline" },
      el("span", {}, side.name),
      el("strong", {}, `${amount(quote[side.field])} ${side.token}`),
      el("span", { class: "note" }, `at ${moment(quote.timestamp)}`),
    ),
    quoteTable(quote.quotes, quote, quote.dex, "Every venue's quote"),
    el("p", { class: "reason" }, quote.reason),
    el(
      "dl",
      { class: "facts" },
      ...facts([
        ["Price", `${price(quote.price)} ${quote.tokenOut}/${quote.tokenIn}`, quote.price],
        ["Price impact", bps(quote.priceImpactBps)],
        ["Ahead by", bps(quote.priceImprovementBps)],
        [side.limitName, `${amount(quote[side.limit])} ${side.token}`],
        ["Route", routeText(quote.route)],
      ]),
    ),
  ];
}
