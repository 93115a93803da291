/** All orders, with filters that survive a reload (they are in the URL's hash), page by page, and as CSV. */

import { listOrders, Problem, sentence } from "./api.js";
import { toCsv } from "./csv.js";
import { byId, el, setData, setText } from "./dom.js";
import { amount, duration, moment, price, short, title } from "./format.js";
import { isLive } from "./orders.js";
import { debounce, eachFrame } from "./polling.js";

const STATUSES = ["pending", "routing", "building", "submitted", "confirmed", "failed", "expired"];
const PAGE = 50;
const EXPORT_PAGE = 100;

/**
 * @param {object} config of the engine
 * @param {import("./orders.js").Orders} orders whose changes the rows follow
 * @param {(orderId: string) => void} openDetail
 * @param {(filters: URLSearchParams) => void} onFilters they have changed
 */
export function showHistory(config, orders, openDetail, onFilters) {
  const form = byId("filters");
  let cursor = null;
  let shown = 0;
  let superseded = new AbortController();
  const rows = new Map();
  const changed = new Set();

  offer("filter-status", "Any status", STATUSES);
  offer("filter-type", "Any type", config.orderTypes);
  offer("filter-pair", "Any pair", pairs(config.tokens));

  async function load(isMore) {
    superseded.abort();
    superseded = new AbortController();
    const { signal } = superseded;
    say("Loading…");
    try {
      const page = await listOrders({ ...filter(), limit: PAGE, cursor: isMore ? cursor : null }, signal);
      if (!isMore) clear();
      shown = (isMore ? shown : 0) + page.orders.length;
      cursor = page.nextCursor;
      for (const order of page.orders) rows.set(order.orderId, row(order, openDetail));
      byId("rows").append(...page.orders.map((order) => rows.get(order.orderId)));
      showErrors([]);
      say(`${shown} ${shown === 1 ? "order" : "orders"}${cursor ? " so far" : ""}`);
      const hasFilters = Object.keys(filter()).length > 0;
      empty(shown || cursor ? "" : hasFilters ? "No order matches. Clear a filter to see more." : "No orders yet.");
    } catch (problem) {
      if (signal.aborted) return;
      if (!(problem instanceof Problem)) throw problem;
      showErrors(problem.errors);
      say("");
      if (!isMore) (clear(), (shown = 0));
      empty(`${sentence(problem)}.${problem.retryable ? "" : " Change the filters."}`);
      return offerMore(problem.retryable && "Try again");
    }
    offerMore(cursor && "Load more");
  }

  function clear() {
    rows.clear();
    byId("rows").replaceChildren();
  }

  /** Rows of live orders go on, too. What no longer fits the filter stays until it is asked for again. */
  const flush = eachFrame(() => {
    for (const orderId of changed) {
      const order = orders.get(orderId);
      if (order) renewRow(rows.get(orderId), order);
    }
    changed.clear();
  });

  /** The cell with the button stays: somebody's focus may be on it, or come back to it from the detail. */
  function renewRow(node, order) {
    const { status, sequence, updatedAt } = order;
    const last = order.events.at(-1);
    const summary = { ...order.summary, ...(last?.sequence === sequence && outcomeOf(last)), status, updatedAt };
    const cells = [...row(summary, openDetail).cells];
    [...node.cells].forEach((cell, index) => cell.querySelector("button") ?? cell.replaceWith(cells[index]));
    setData(node, "status", status);
  }

  orders.listen((order, orderId) => {
    if (!order || !rows.has(orderId)) return;
    changed.add(orderId);
    flush();
  });

  /** What the API is asked for: times in UTC, and only what is set. */
  function filter() {
    const values = [...new FormData(form)].filter(([, value]) => value !== "");
    return Object.fromEntries(
      values.map(([name, value]) => [name, isTime(name) ? new Date(value).toISOString() : value]),
    );
  }

  const filtered = debounce(() => {
    onFilters(new URLSearchParams([...new FormData(form)].filter(([, value]) => value !== "")));
    load(false);
  }, 250);
  form.addEventListener("input", filtered);
  form.addEventListener("reset", filtered);
  form.addEventListener("submit", (event) => event.preventDefault());
  byId("more").addEventListener("click", () => load(shown > 0));
  byId("export").addEventListener("click", () => exportCsv(filter()));

  return {
    /** @param {URLSearchParams} filters from the hash */
    open(filters) {
      for (const field of form.elements) if (field.name) field.value = filters.get(field.name) ?? "";
      load(false);
    },
  };
}

/** Of an event, what a row shows. An event's `slippageBps` is what happened, an order's what was allowed. */
function outcomeOf({ amountIn, amountOut, executedPrice, dex, attempt, error }) {
  const known = Object.entries({ amountIn, amountOut, executedPrice, dex, error, attempts: attempt });
  return Object.fromEntries(known.filter(([, value]) => value !== undefined));
}

async function exportCsv(filter) {
  const controller = new AbortController();
  const cancel = byId("cancel-export");
  cancel.onclick = () => controller.abort();
  setExporting(true);
  try {
    const orders = [];
    let cursor = null;
    do {
      const page = await listOrders({ ...filter, limit: EXPORT_PAGE, cursor }, controller.signal);
      orders.push(...page.orders);
      cursor = page.nextCursor;
      say(`Exporting: ${orders.length} orders…`);
    } while (cursor);
    download(toCsv(orders), `orders-${new Date().toISOString().slice(0, 19).replaceAll(":", "")}Z.csv`);
    say(`Exported ${orders.length} orders`);
  } catch (problem) {
    if (controller.signal.aborted) say("Export cancelled");
    else if (problem instanceof Problem) say(`Export failed: ${sentence(problem)}`);
    else throw problem;
  }
  setExporting(false);
}

function setExporting(isRunning) {
  byId("cancel-export").hidden = !isRunning;
  byId("export").hidden = isRunning;
  byId(isRunning ? "cancel-export" : "export").focus();
}

function download(text, name) {
  // With a byte order mark, or Excel would not take it for UTF-8.
  const url = URL.createObjectURL(new Blob(["\uFEFF", text], { type: "text/csv;charset=utf-8" }));
  el("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1000);
}

function row(order, openDetail) {
  const isBuy = order.swapMode === "exactOut";
  const filled = isBuy
    ? order.amountIn && `${amount(order.amountIn)} ${order.tokenIn}`
    : order.amountOut && `${amount(order.amountOut)} ${order.tokenOut}`;
  const button = el(
    "button",
    {
      type: "button",
      class: "link mono",
      "aria-label": `Details of order ${order.orderId}`,
      onclick: () => openDetail(order.orderId),
    },
    short(order.orderId),
  );
  const took = isLive(order) ? null : Date.parse(order.updatedAt) - Date.parse(order.createdAt);
  return el(
    "tr",
    { "data-order-id": order.orderId, "data-status": order.status },
    el("td", { title: order.createdAt }, moment(order.createdAt)),
    el("td", {}, title(order)),
    el("td", { class: "number" }, filled || "–"),
    el("td", { class: "number wide", title: order.executedPrice }, price(order.executedPrice)),
    el("td", { class: "wide" }, order.dex ?? "–"),
    el("td", {}, el("span", { class: "status", title: order.error }, order.status)),
    el("td", { class: "number wide" }, String(order.attempts)),
    el("td", { class: "number wide" }, duration(took)),
    el("td", {}, button),
  );
}

function showErrors(errors) {
  const byField = Object.fromEntries(errors.map(({ pointer, detail }) => [pointer, detail]));
  for (const [name, id] of [
    ["from", "from-error"],
    ["to", "to-error"],
    ["userId", "filter-userId-error"],
  ]) {
    setText(byId(id), byField[name] ?? "");
    byId(`filter-${name}`).setAttribute("aria-invalid", String(name in byField));
  }
}

function offer(id, any, values) {
  byId(id).replaceChildren(el("option", { value: "" }, any), ...values.map((value) => el("option", { value }, value)));
}

function pairs(tokens) {
  const symbols = tokens.map((token) => token.symbol);
  return symbols.flatMap((one) => symbols.filter((other) => other !== one).map((other) => `${one}/${other}`));
}

function isTime(name) {
  return name === "from" || name === "to";
}

function offerMore(name) {
  byId("more").hidden = !name;
  if (name) setText(byId("more"), name);
}

function say(text) {
  setText(byId("history-status"), text);
}

function empty(text) {
  setText(byId("rows-empty"), text);
  byId("rows-empty").hidden = !text;
}
