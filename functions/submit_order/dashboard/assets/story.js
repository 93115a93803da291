/** What an order's events tell: its steps with their times, its attempts, and the facts to show. Pure functions. */

import { isLive } from "./orders.js";
import { ratio } from "./decimal.js";
import { openSide } from "./format.js";

const STEPS = ["pending", "routing", "building", "submitted"];

/**
 * The steps of the attempt at hand, or of the last one.
 * @returns {{name: string, state: "done" | "current" | "failed" | "todo", ms: number | null, since: string | null}[]}
 */
export function steps(order) {
  const begin = order.events.findLastIndex((event) => event.status === "pending");
  const run = order.events.slice(Math.max(begin, 0));
  const reached = isLive(order) ? STEPS.indexOf(order.status) : STEPS.length;
  const list = STEPS.map((name, index) => {
    const at = run.findIndex((event) => event.status === name);
    const next = at < 0 ? undefined : run.slice(at + 1).find((event) => event.status !== name);
    const isDone = run.length ? next !== undefined : index < reached && order.status !== "failed";
    const state = isLive(order) && index === reached ? "current" : isDone ? "done" : "todo";
    // One that was accepted just now has no events yet.
    const since = at < 0 && !run.length && index === 0 ? order.createdAt : run[at]?.timestamp;
    return { name, state, ms: next ? span(run[at], next) : null, since: since ?? null };
  });
  const isOver = !isLive(order);
  const isGood = !isOver || order.status === "confirmed";
  const name = isOver ? order.status : "confirmed";
  return [...list, { name, state: !isOver ? "todo" : isGood ? "done" : "failed", ms: null, since: null }];
}

/** Attempts that failed, with what came of each. */
export function failures(order) {
  return order.events.filter((event) => event.errorCode);
}

/** The last event of a status; undefined while there is none. */
export function latest(order, status) {
  return order.events.findLast((event) => event.status === status);
}

/** What was expected of the side that the venues decide, and what came of it. */
export function outcome(order) {
  const { summary } = order;
  const side = openSide(summary);
  const building = latest(order, "building");
  const confirmed = latest(order, "confirmed");
  const isConfirmed = order.status === "confirmed";
  const fill = confirmed ?? (isConfirmed ? summary : null);
  const quote = building?.quote ?? (building?.route?.length === 1 ? building.route[0] : null);
  return {
    side,
    building,
    reason: building?.reason ?? summary.reason,
    route: fill?.route ?? building?.route,
    quoted: quote?.[side.field] ?? null,
    quotedPrice: quote ? ratio(quote.amountOut, quote.amountIn) : null,
    realised: fill?.[side.field] ?? null,
    price: fill?.executedPrice ?? null,
    slippageBps: confirmed?.slippageBps ?? null,
    limit: building?.[side.limit] ?? summary[side.limit],
    fees: fill?.fees ?? null,
    transaction: fill?.txHash ?? (order.status === "submitted" ? latest(order, "submitted")?.signature : null) ?? null,
    retryAt: order.status === "pending" ? (order.events.at(-1)?.retryAt ?? summary.retryAt) : null,
  };
}

function span(from, to) {
  return Date.parse(to.timestamp) - Date.parse(from.timestamp);
}
