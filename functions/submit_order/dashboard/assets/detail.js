/** One order with its whole audit trail, in a dialog that goes on while the order lives. */

import { getOrder, Problem, sentence } from "./api.js";
import { byId, copyButton, el, facts, openDialog, setText } from "./dom.js";
import { amount, bps, duration, moment, openSide, percent, title } from "./format.js";
import { isLive } from "./orders.js";
import { quoteTable, routeText } from "./quotes.js";

/** Shown in their own columns, or in the table of quotes. */
const SHOWN = new Set([
  "orderId",
  "sequence",
  "status",
  "progress",
  "attempt",
  "timestamp",
  "message",
  "quotes",
  "quote",
]);

/** @param {import("./orders.js").Orders} orders whose changes are followed while the dialog is open */
export function detailDialog(orders) {
  const dialog = byId("detail");
  let wanted = null;

  async function load(orderId) {
    try {
      const order = await getOrder(orderId);
      if (wanted === orderId) show(order);
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      if (wanted === orderId) byId("detail-body").replaceChildren(el("p", { class: "empty" }, `${sentence(problem)}.`));
    }
  }

  orders.listen((order, orderId) => {
    if (order && orderId === wanted && dialog.open && order.sequence > Number(dialog.dataset.sequence)) load(orderId);
  });
  dialog.addEventListener("close", () => (wanted = null));

  return (orderId) => {
    wanted = orderId;
    setText(byId("detail-heading"), "Order");
    byId("detail-body").replaceChildren(el("p", { class: "empty" }, "Loading…"));
    openDialog(dialog);
    load(orderId);
  };
}

function show(order) {
  byId("detail").dataset.sequence = order.sequence;
  setText(byId("detail-heading"), title(order));
  const side = openSide(order);
  byId("detail-body").replaceChildren(
    el(
      "p",
      { class: "transaction" },
      el("span", { class: "status", "data-status": order.status }, order.status),
      el("code", {}, order.orderId),
      copyButton(order.orderId, "order id"),
    ),
    el(
      "dl",
      { class: "facts" },
      ...facts([
        ["Type", order.type],
        ["User", order.userId ?? "public"],
        ["Created", moment(order.createdAt), order.createdAt],
        ["Took", isLive(order) ? null : duration(Date.parse(order.updatedAt) - Date.parse(order.createdAt))],
        ["Attempts", String(order.attempts)],
        ["Slippage tolerance", percent(order.slippageBps)],
        [side.limitName, order[side.limit] && `${amount(order[side.limit])} ${side.token}`],
        ["Paid", order.amountIn && `${amount(order.amountIn)} ${order.tokenIn}`],
        ["Received", order.amountOut && `${amount(order.amountOut)} ${order.tokenOut}`],
        ["Price", order.executedPrice],
        ["Ahead of the losing venue", order.priceImprovementBps && bps(order.priceImprovementBps)],
        ["Error", order.error && `${order.error} (${order.errorCode})`],
      ]),
    ),
    (order.txHash &&
      el(
        "p",
        { class: "transaction" },
        el("span", {}, "Transaction"),
        el("code", {}, order.txHash),
        copyButton(order.txHash, "transaction hash"),
      )) ||
      "",
    el("h3", {}, "Audit trail"),
    el("ol", { class: "trail" }, ...order.events.map((event, index) => entry(event, order.events[index - 1], order))),
  );
}

function entry(event, before, order) {
  const after = before ? `+${duration(Date.parse(event.timestamp) - Date.parse(before.timestamp))}` : "";
  const rest = Object.entries(event).filter(([name, value]) => !SHOWN.has(name) && value !== null);
  return el(
    "li",
    { "data-status": event.status },
    el(
      "p",
      {},
      el("span", { class: "number" }, `${event.sequence}`),
      el("span", { class: "status", "data-status": event.status }, event.status),
      el("span", {}, event.message),
      el("span", { class: "note", title: event.timestamp }, `${moment(event.timestamp)} ${after}`),
    ),
    event.quotes && quoteTable(event.quotes, order, event.dex, `Quotes at sequence ${event.sequence}`),
    rest.length > 0 && el("dl", { class: "facts" }, ...facts(rest.map(([name, value]) => [name, text(name, value)]))),
  );
}

function text(name, value) {
  if (name === "route") return routeText(value);
  return typeof value === "object" ? JSON.stringify(value) : String(value);
}
