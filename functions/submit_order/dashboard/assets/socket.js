/**
 * One WebSocket that is always there again: it reconnects with backoff and jitter, finds out by pings that a connection
 * is dead, and opens a fresh one before the gateway closes the old one (docs/websocket.md). Each order goes on after
 * its last sequence, so nothing is lost in between.
 */

import { observe } from "./clock.js";

/** Fewer than the 200 a connection may watch: a place that was given back is free a moment later than asked. */
export const MOST_WATCHED = 190;

const SUBSCRIBE_BATCH = 20;
const SUBSCRIBE_BATCH_MS = 60;

/**
 * @typedef {object} Listener
 * @property {(orderId: string) => number} lastSequence of what is known of an order
 * @property {(event: object) => void} onEvent an event of an order; also repeated ones
 * @property {(orderId: string) => void} onDoubt the server does not watch an order that it was asked to watch
 * @property {(state: {kind: "connecting" | "live" | "renewing" | "waiting", seconds?: number}) => void} onState
 */

export class LiveSocket {
  #url;
  #settings;
  #listener;
  /** By order id, how many pongs in a row have not known it. */
  #watched = new Map();
  /** Ids of orders to subscribe to. */
  #queue = new Set();
  /** Those that were asked for, until the answer. */
  #unanswered = new Set();
  #drainTimer;
  #link = null;
  #next = null;
  #failures = 0;
  #retryTimer;
  #retryAt = 0;

  /**
   * @param {string} url
   * @param {ReturnType<import("./settings.js").readSettings>} settings
   * @param {Listener} listener
   */
  constructor(url, settings, listener) {
    this.#url = url;
    this.#settings = settings;
    this.#listener = listener;
    addEventListener("online", () => this.#check());
    addEventListener("offline", () => this.#check());
    document.addEventListener("visibilitychange", () => document.hidden || this.#check());
    this.#connect();
  }

  get isOpen() {
    return this.#link !== null;
  }

  get isFull() {
    return this.#watched.size >= MOST_WATCHED;
  }

  watches(orderId) {
    return this.#watched.has(orderId);
  }

  watch(orderId) {
    this.#watched.set(orderId, 0);
    this.#subscribe([orderId]);
  }

  unwatch(orderId) {
    if (this.#watched.delete(orderId)) this.#link?.send({ action: "unsubscribe", orderId });
  }

  /** Something may have changed about the network: ask the connection at hand, or make one at once. */
  #check() {
    if (this.#link) this.#link.ping();
    else if (this.#retryAt && navigator.onLine) this.#connect();
  }

  #connect() {
    clearTimeout(this.#retryTimer);
    this.#retryAt = 0;
    this.#listener.onState({ kind: this.#link ? "renewing" : "connecting" });
    this.#next = new Link(this.#url, this.#settings, {
      onOpen: (link) => this.#opened(link),
      onFrame: (frame, link) => this.#received(frame, link),
      onEnd: (link) => this.#ended(link),
      onOld: (link) => link === this.#link && !this.#next && this.#connect(),
    });
  }

  #opened(link) {
    const old = this.#link;
    this.#link = link;
    this.#next = null;
    this.#queue.clear();
    this.#unanswered.clear();
    for (const orderId of this.#watched.keys()) this.#watched.set(orderId, 0);
    this.#subscribe([...this.#watched.keys()]);
    this.#listener.onState({ kind: "live" });
    // Make before break. What the old one would still have said, the new one replays.
    old?.close();
  }

  #ended(link) {
    if (link === this.#link) this.#link = null;
    if (link === this.#next) {
      this.#next = null;
      if (this.#link) {
        // The fresh connection failed; the old one is good for a while yet.
        this.#listener.onState({ kind: "live" });
        this.#link.age(this.#settings.pingSeconds);
      }
    }
    if (this.#link || this.#next || this.#retryAt) return;
    const { backoffSeconds, maxBackoffSeconds } = this.#settings;
    const seconds = Math.min(backoffSeconds * 2 ** this.#failures, maxBackoffSeconds) * (0.5 + Math.random() / 2);
    this.#failures += 1;
    this.#retryAt = Date.now() + seconds * 1000;
    this.#wait();
  }

  /** Second by second, so that the page can count down. */
  #wait() {
    const left = this.#retryAt - Date.now();
    if (left <= 0) return this.#connect();
    this.#listener.onState({ kind: "waiting", seconds: Math.ceil(left / 1000) });
    this.#retryTimer = setTimeout(() => this.#wait(), Math.min(left, 1000));
  }

  #received(frame, link) {
    if (frame.type === "pong") {
      this.#failures = 0;
      observe(frame.timestamp);
      if (link === this.#link) this.#compare(frame.sequences ?? {});
    } else if (frame.type === "subscribed") {
      if (this.#watched.has(frame.orderId)) this.#watched.set(frame.orderId, 0);
      this.#unanswered.delete(frame.orderId);
      if (this.#unanswered.size + this.#queue.size === 0) link.begin();
    } else if (frame.orderId && frame.sequence && !frame.type) {
      const last = this.#listener.lastSequence(frame.orderId);
      if (frame.sequence > last + 1 && this.#watched.has(frame.orderId)) this.#subscribe([frame.orderId]);
      else if (frame.sequence > last) this.#listener.onEvent(frame);
    }
  }

  /** Finds lost frames: the last of an order, and the answer to a subscription. */
  #compare(sequences) {
    const behind = [];
    for (const [orderId, unknown] of this.#watched) {
      const sequence = sequences[orderId];
      if (sequence === undefined || sequence > this.#listener.lastSequence(orderId)) behind.push(orderId);
      this.#watched.set(orderId, sequence === undefined ? unknown + 1 : 0);
      // The first time, the subscription may still be on its way.
      if (sequence === undefined && unknown > 0) this.#listener.onDoubt(orderId);
    }
    this.#subscribe(behind);
  }

  /** A few at a time: each frame is an invocation of its own. */
  #subscribe(orderIds) {
    for (const orderId of orderIds) this.#queue.add(orderId);
    if (!this.#drainTimer) this.#drain();
  }

  #drain() {
    this.#drainTimer = undefined;
    // Without a connection they wait: the next one begins with everything.
    if (!this.#link || this.#queue.size === 0) return;
    for (const orderId of [...this.#queue].slice(0, SUBSCRIBE_BATCH)) {
      this.#queue.delete(orderId);
      if (!this.#watched.has(orderId)) continue;
      this.#unanswered.add(orderId);
      this.#link.send({ action: "subscribe", orderId, after: this.#listener.lastSequence(orderId) });
    }
    this.#drainTimer = setTimeout(() => this.#drain(), SUBSCRIBE_BATCH_MS);
  }
}

/** One connection, from opening to its one end, with its pings and its age. */
class Link {
  #socket;
  #settings;
  #handlers;
  #pingTimer;
  #pongTimer;
  #ageTimer;
  #hasBegun = false;
  #hasEnded = false;

  constructor(url, settings, handlers) {
    this.#settings = settings;
    this.#handlers = handlers;
    this.#socket = new WebSocket(url);
    this.#expect();
    this.#socket.addEventListener("open", () => this.#open());
    this.#socket.addEventListener("message", ({ data }) => this.#message(data));
    this.#socket.addEventListener("close", () => this.#end());
  }

  send(frame) {
    if (this.#socket.readyState === WebSocket.OPEN) this.#socket.send(JSON.stringify(frame));
  }

  /** With the first ping: later than the first subscriptions, as a pong that does not know them asks for them again. */
  begin() {
    if (!this.#hasBegun) this.ping();
  }

  /** Asks for a sign of life. Without one in time, the connection is dead, whatever the browser thinks. */
  ping() {
    clearTimeout(this.#pingTimer);
    if (this.#socket.readyState !== WebSocket.OPEN) return;
    this.#hasBegun = true;
    this.send({ action: "ping" });
    if (!this.#pongTimer) this.#expect();
    this.#pingTimer = setTimeout(() => this.ping(), this.#settings.pingSeconds * 1000);
  }

  /** Says `onOld` after so many seconds. */
  age(seconds) {
    clearTimeout(this.#ageTimer);
    this.#ageTimer = setTimeout(() => this.#handlers.onOld(this), seconds * 1000);
  }

  close() {
    this.#socket.close();
    this.#end();
  }

  #expect() {
    this.#pongTimer = setTimeout(() => this.close(), this.#settings.pongSeconds * 1000);
  }

  #open() {
    if (this.#hasEnded) return;
    this.#heard();
    this.age(this.#settings.maxConnectionSeconds);
    const { pingSeconds, pongSeconds } = this.#settings;
    // In time also when there is nothing to subscribe to, or no answer comes.
    this.#pingTimer = setTimeout(() => this.ping(), Math.min(pingSeconds, pongSeconds) * 1000);
    this.#handlers.onOpen(this);
  }

  #message(data) {
    if (this.#hasEnded) return;
    this.#heard();
    let frame = null;
    try {
      frame = JSON.parse(data);
    } catch {
      // Not for us.
    }
    if (frame && typeof frame === "object") this.#handlers.onFrame(frame, this);
  }

  #heard() {
    clearTimeout(this.#pongTimer);
    this.#pongTimer = undefined;
  }

  /** At once, not when the browser has given up on a dead peer's goodbye. */
  #end() {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    clearTimeout(this.#pingTimer);
    clearTimeout(this.#ageTimer);
    this.#heard();
    this.#handlers.onEnd(this);
  }
}
