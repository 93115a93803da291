/**
 * A card for each order, newest first. A change of an order touches its own card only, once a frame, and of that card
 * only what differs; one timer moves the times of all cards that are in view.
 */

import { now } from "./clock.js";
import { byId, copyButton, el, facts, renew, setData, setText } from "./dom.js";
import { amount, bps, duration, moment, percent, price, short, title } from "./format.js";
import { isLive } from "./orders.js";
import { eachFrame } from "./polling.js";
import { quoteTable, routeText } from "./quotes.js";
import { failures, outcome, steps } from "./story.js";

const TICK_MS = 250;
/** Of a frame, what changing cards may take. */
const FRAME_MS = 8;
/** More of them moving at once costs frames. */
const MOST_PULSING = 12;
const PIPELINE = ["pending", "routing", "building", "submitted", "confirmed", "failed", "expired"];
const UNKNOWN = "–";
const LOOKING = "Looking for orders…";
const AWAY = "Orders cannot be read right now. Trying again…";
const EMPTY = {
  all: "No orders yet. Place one with the ticket, or many in Engine.",
  live: "No order is being executed right now.",
  own: "None of these orders was placed in this browser.",
};

/**
 * @param {import("./orders.js").Orders} orders
 * @param {(orderId: string) => void} load asks for the events of an order that has none
 * @param {(orderId: string) => void} openDetail
 */
export function showCards(orders, load, openDetail) {
  const list = byId("cards");
  /** @type {Map<string, Card>} */
  const cards = new Map();
  const changed = new Set();
  const inView = new Set();
  let isListed = false;
  let excuse = LOOKING;

  const pipeline = PIPELINE.map((status) =>
    el("div", { "data-status": status }, el("dt", {}, status), el("dd", {})),
  );
  byId("pipeline").replaceChildren(...pipeline);

  const observer = new IntersectionObserver(
    (entries) => {
      for (const { target, isIntersecting } of entries) {
        const card = cards.get(target.dataset.orderId);
        if (!card) continue;
        inView[isIntersecting ? "add" : "delete"](card);
        const { order } = card;
        // Live ones come over the socket.
        if (isIntersecting && !isLive(order) && order.events.length < order.sequence) load(order.orderId);
      }
    },
    { rootMargin: "300px" },
  );

  const flush = eachFrame(() => {
    const end = performance.now() + FRAME_MS;
    // What can be seen comes first; what does not fit into this frame comes in the next.
    const visible = [...inView].map((card) => card.order.orderId).filter((orderId) => changed.has(orderId));
    for (const orderId of new Set([...visible, ...changed])) {
      changed.delete(orderId);
      show(orderId);
      if (performance.now() > end) break;
    }
    if (changed.size) flush();
    else count();
  });

  function show(orderId) {
    const order = orders.get(orderId);
    const card = cards.get(orderId);
    if (order && card) card.update(order);
    else if (order) add(order);
    else if (card) remove(card);
  }

  function add(order) {
    const card = new Card(order, () => openDetail(order.orderId));
    cards.set(order.orderId, card);
    // Almost always the newest, so the first comparison ends it.
    const next = [...list.children].find((node) => node.dataset.createdAt <= order.createdAt);
    list.insertBefore(card.node, next ?? null);
    observer.observe(card.node);
  }

  function remove(card) {
    observer.unobserve(card.node);
    inView.delete(card);
    cards.delete(card.order.orderId);
    card.node.remove();
  }

  function count() {
    const all = orders.all();
    const live = all.filter(isLive).length;
    const shown = { all: all.length, live, own: all.filter((order) => order.isOwn).length };
    for (const cell of pipeline) {
      const inStatus = all.filter((order) => order.status === cell.dataset.status).length;
      setText(cell.lastChild, isListed || inStatus ? String(inStatus) : UNKNOWN);
      setData(cell, "none", inStatus === 0);
    }
    setData(list, "many", live > MOST_PULSING);
    setText(byId("live-count"), live ? String(live) : "");
    setText(byId("live-summary"), isListed && all.length ? `${live} live, ${all.length - live} finished` : "");
    setText(byId("cards-empty"), isListed ? EMPTY[list.dataset.show] : excuse);
    byId("cards-empty").hidden = shown[list.dataset.show] > 0;
  }

  /** Brings an order's card into view and moves the focus there; in the detail, if it has no card any more. */
  function reveal(orderId) {
    const node = cards.get(orderId)?.node;
    if (!node) return openDetail(orderId);
    if (!node.checkVisibility()) byId("show").querySelector("[value=all]").click();
    const isCalm = matchMedia("(prefers-reduced-motion: reduce)").matches;
    node.scrollIntoView({ behavior: isCalm ? "instant" : "smooth", block: "center" });
    node.focus({ preventScroll: true });
  }

  /** After each look for orders: without a list, what is not on the page is not known to be nowhere. */
  function listed(problem) {
    isListed = !problem;
    excuse = AWAY;
    count();
  }

  orders.listen((_, orderId) => {
    changed.add(orderId);
    flush();
  });
  byId("show").addEventListener("change", (event) => {
    list.dataset.show = event.target.value;
    count();
  });
  setInterval(() => {
    if (!document.hidden) for (const card of inView) card.tick();
  }, TICK_MS);
  count();
  return { listed, reveal };
}

class Card {
  constructor(order, openDetail) {
    this.order = order;
    this.title = el("h3", { id: `card-${order.orderId}` });
    this.status = el("span", { class: "status" });
    this.time = el("span", { class: "time" });
    this.steps = el("ol", { class: "steps", "aria-label": "Steps" });
    this.reason = el("p", { class: "reason" });
    this.quotes = el("div");
    this.facts = el("dl", { class: "facts" });
    this.attempts = el("ol", { class: "attempts", "aria-label": "Failed attempts" });
    this.transaction = el("p", { class: "transaction" });
    const id = el(
      "button",
      { type: "button", class: "link mono", onclick: openDetail, "aria-label": `Details of order ${order.orderId}` },
      short(order.orderId),
    );
    this.node = el(
      "article",
      { class: "card", tabindex: -1, "aria-labelledby": this.title.id },
      el("header", {}, this.title, this.status),
      el("p", { class: "meta" }, id, el("span", {}, moment(order.createdAt)), about(order), this.time),
      this.steps,
      this.reason,
      this.quotes,
      this.attempts,
      this.facts,
      this.transaction,
    );
    this.node.dataset.orderId = order.orderId;
    this.node.dataset.createdAt = order.createdAt;
    this.update(order);
  }

  update(order) {
    this.order = order;
    const { summary } = order;
    const found = outcome(order);
    setText(this.title, title(summary));
    setText(this.status, found.retryAt ? "retrying" : order.status);
    setData(this.node, "status", order.status);
    setData(this.node, "live", isLive(order));
    setData(this.node, "own", order.isOwn);
    setData(this.node, "retrying", Boolean(found.retryAt));
    setText(this.reason, found.reason ?? "");
    renew(this.steps, `${order.sequence}/${order.events.length}`, () => steps(order).map(step));
    const { building } = found;
    renew(this.quotes, building?.sequence ?? 0, () => [
      building?.quotes && quoteTable(building.quotes, summary, building.dex, "Quotes of the venues"),
    ]);
    this.quotes.hidden = !building;
    const failed = failures(order);
    this.showAttempts(failed, summary, found.retryAt);
    renew(this.facts, `${order.sequence}/${order.events.length}`, () => facts(factsOf(order, found)));
    renew(this.transaction, found.transaction, () =>
      found.transaction
        ? [
            el("span", {}, "Transaction"),
            el("code", { title: found.transaction }, short(found.transaction, 10, 8)),
            copyButton(found.transaction, "transaction hash"),
          ]
        : [],
    );
    this.tick();
  }

  showAttempts(failed, summary, retryAt) {
    // Without events, the summary still knows the last error.
    const known = failed.length || !summary.error ? failed : [{ ...summary, attempt: summary.attempts }];
    renew(this.attempts, `${known.length}/${failed.length}/${retryAt}`, () => known.map(attempt));
  }

  /** Moves the times. */
  tick() {
    const { order } = this;
    const end = isLive(order) ? now() : Date.parse(order.updatedAt);
    const took = duration(Math.max(0, end - Date.parse(order.createdAt)));
    setText(this.time, took);
    if (!isLive(order)) return;
    const current = this.steps.querySelector("[data-state=current] .took");
    if (current?.dataset.since) setText(current, duration(Math.max(0, now() - Date.parse(current.dataset.since))));
    const retryAt = outcomeRetry(order);
    const clock = retryAt && this.attempts.lastElementChild?.querySelector(".retry");
    if (clock) {
      const left = Date.parse(retryAt) - now();
      setText(clock, left > 0 ? `next try in ${(left / 1000).toFixed(1)} s` : "next try is due");
    }
  }
}

function outcomeRetry(order) {
  return order.status === "pending" ? order.events.at(-1)?.retryAt : null;
}

function about({ summary, isOwn }) {
  const parts = [isOwn && "yours", summary.userId, `slippage ≤ ${percent(summary.slippageBps ?? 0)}`];
  return el("span", {}, parts.filter(Boolean).join(" · "));
}

function step({ name, state, ms, since }) {
  const took = el("span", { class: "took" }, ms === null ? "" : duration(ms));
  if (since && state === "current") took.dataset.since = since;
  const said = { done: "done", current: "now", failed: "here it ended", todo: "not yet" }[state];
  return el(
    "li",
    { "data-state": state, "data-step": name, "aria-current": state === "current" ? "step" : null },
    el("span", { class: "name" }, name),
    el("span", { class: "hidden" }, ` ${said} `),
    took,
  );
}

function attempt(event) {
  const code = event.lastErrorCode ?? event.errorCode;
  const where = [event.attempt && `Attempt ${event.attempt}`, event.dex].filter(Boolean).join(" on ");
  return el(
    "li",
    {},
    el("b", {}, where || "Failed"),
    ` ${event.error} `,
    el("code", {}, code),
    event.lastErrorCode && el("code", {}, event.errorCode),
    event.retryAt && el("span", { class: "retry" }, `tried again ${moment(event.retryAt)}`),
  );
}

function factsOf(order, found) {
  const { side } = found;
  const { summary } = order;
  const given =
    summary.swapMode === "exactOut"
      ? ["Received", "amountOut", summary.tokenOut]
      : ["Paid", "amountIn", summary.tokenIn];
  const isFilled = found.realised !== null;
  const fees =
    found.fees && [...found.fees.venues, found.fees.network].map((fee) => `${amount(fee.amount)} ${fee.token}`);
  return [
    ["Quoted", found.quoted && `${amount(found.quoted)} ${side.token}`],
    ["Realised", isFilled && el("strong", {}, `${amount(found.realised)} ${side.token}`)],
    [given[0], isFilled && `${amount(summary.amount)} ${given[2]}`],
    ["Quoted price", found.quotedPrice && price(found.quotedPrice), found.quotedPrice],
    ["Realised price", found.price && price(found.price), found.price],
    ["Slippage", found.slippageBps !== null && bps(found.slippageBps)],
    [side.limitName, found.limit && `${amount(found.limit)} ${side.token}`],
    ["Fees", fees?.join(" + ")],
    ["Route", found.route && routeText(found.route)],
  ].filter(([, value]) => value);
}
