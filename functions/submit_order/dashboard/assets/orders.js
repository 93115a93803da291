/**
 * What is known of the orders on the page, and the only place that changes it. Events of an order are kept without gaps
 * from the first one on; an order that was only heard of in a list has its summary and no events yet.
 */

import { ownOrders, rememberOwn } from "./memory.js";

const TERMINAL = new Set(["confirmed", "failed", "expired", "canceled"]);

/** Older finished orders are in the history. */
const MOST_FINISHED = 40;

/**
 * @typedef {object} Order
 * @property {string} orderId
 * @property {object} summary the order as lists show it, as of `sequence`
 * @property {object[]} events from sequence 1 on, without gaps
 * @property {string} status
 * @property {number} sequence of the last change that is known
 * @property {string} createdAt
 * @property {string} updatedAt
 * @property {boolean} isOwn placed in this browser
 */

export function isLive(order) {
  return !TERMINAL.has(order.status);
}

export class Orders {
  /** @type {Map<string, Order>} */
  #orders = new Map();
  #own = new Set(ownOrders());
  #listeners = new Set();

  /** @param {(order: Order | null, orderId: string) => void} listener told of every change; null when it was dropped */
  listen(listener) {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  get(orderId) {
    return this.#orders.get(orderId);
  }

  all() {
    return [...this.#orders.values()];
  }

  /** The last sequence up to which all events are here. */
  lastSequence(orderId) {
    return this.#orders.get(orderId)?.events.length ?? 0;
  }

  /** An order that was accepted just now, before anything else is known of it. */
  placed(request, accepted) {
    this.#own.add(accepted.orderId);
    rememberOwn(accepted.orderId);
    const { orderId, timestamp } = accepted;
    this.hear([{ ...request, ...accepted, createdAt: timestamp, updatedAt: timestamp, attempts: 0 }]);
    const order = this.#orders.get(orderId);
    // A list may have been faster than the answer.
    if (order && !order.isOwn) {
      order.isOwn = true;
      this.#tell(order, orderId);
    }
  }

  /** Orders as a list shows them. Finished ones beyond the newest are left to the history. */
  hear(summaries) {
    for (const summary of summaries) {
      const order = this.#orders.get(summary.orderId);
      if (order ? summary.sequence > order.sequence : this.#isWorthKeeping(summary)) this.#keep(summary, order);
    }
    this.#prune();
  }

  /** An order with everything that has happened to it. */
  learn({ events, ...summary }) {
    const order = this.#orders.get(summary.orderId);
    if (order && (events.length < order.events.length || summary.sequence < order.sequence)) return;
    this.#keep(summary, order, events);
    this.#prune();
  }

  /** One event, in order; others are dropped. */
  append(event) {
    const order = this.#orders.get(event.orderId);
    if (!order || event.sequence !== order.events.length + 1) return;
    order.events.push(event);
    if (event.sequence > order.sequence) {
      const { status, sequence, timestamp: updatedAt } = event;
      Object.assign(order, { status, sequence, updatedAt });
    }
    this.#tell(order, order.orderId);
    if (!isLive(order)) this.#prune();
  }

  #keep(summary, order, events = order?.events ?? []) {
    const { orderId, status, sequence, createdAt, updatedAt } = summary;
    const isOwn = this.#own.has(orderId);
    const kept = { orderId, summary, events, status, sequence, createdAt, updatedAt, isOwn };
    this.#orders.set(orderId, order ? Object.assign(order, kept) : kept);
    this.#tell(this.#orders.get(orderId), orderId);
  }

  #isWorthKeeping(summary) {
    const finished = this.#finished();
    return isLive(summary) || finished.length < MOST_FINISHED || summary.createdAt > finished.at(-1).createdAt;
  }

  #prune() {
    for (const { orderId } of this.#finished().slice(MOST_FINISHED)) {
      this.#orders.delete(orderId);
      this.#tell(null, orderId);
    }
  }

  #finished() {
    return this.all()
      .filter((order) => !isLive(order))
      .sort((a, b) => (a.createdAt < b.createdAt ? 1 : -1));
  }

  #tell(order, orderId) {
    for (const listener of this.#listeners) listener(order, orderId);
  }
}
