/** Keeps what the page knows of the orders up to date: by the socket as far as it has places, else by asking. */

import { getOrder, listOrders } from "./api.js";
import { ownOrders } from "./memory.js";
import { isLive } from "./orders.js";
import { lane, poll } from "./polling.js";
import { LiveSocket } from "./socket.js";

const LIVE = ["pending", "routing", "building", "submitted"];
const PAGE = 50;
const MOST_PAGES = 10;
const MOST_ASKED = 40;
/** Of the newest own orders, sought by id when there is no list: it needs the history, which may be away. */
const MOST_OWN_SOUGHT = 20;

/**
 * @param {import("./orders.js").Orders} orders
 * @param {string | null} url of the WebSocket; without one, orders are asked for
 * @param {(state: object) => void} onState of the connection
 * @param {(problem: unknown) => void} onDiscovery after each look for orders, with what went wrong or null
 * @returns {{load: (orderId: string) => void, discover: () => void}}
 */
export function watch(orders, url, settings, onState, onDiscovery) {
  const ask = lane(3);
  const asked = new Set();
  const missing = new Set();

  /** Everything about one order. */
  function load(orderId) {
    if (asked.has(orderId)) return Promise.resolve();
    asked.add(orderId);
    return ask(() => getOrder(orderId))
      .then((order) => orders.learn(order))
      .catch((problem) => problem.status === 404 && missing.add(orderId))
      .finally(() => asked.delete(orderId));
  }

  const socket =
    url &&
    new LiveSocket(url, settings, {
      lastSequence: (orderId) => orders.lastSequence(orderId),
      onEvent: (event) => orders.append(event),
      onDoubt: load,
      onState: (state) => {
        onState(state);
        if (state.kind === "live" && isAway) lookAgain();
      },
    });

  orders.listen((order, orderId) => {
    if (!socket) return;
    // A list may say that an order has ended before the socket has told how.
    const isComplete = order && !isLive(order) && order.events.length >= order.sequence;
    if (!order || isComplete) {
      if (socket.watches(orderId)) {
        socket.unwatch(orderId);
        const next = orders.all().find((other) => isLive(other) && !socket.watches(other.orderId));
        if (next) socket.watch(next.orderId);
      }
    } else if (isLive(order) && !socket.watches(orderId) && !socket.isFull) {
      socket.watch(orderId);
    }
  });

  /** Page after page, down to where the last look began; the first time, while there are live ones. */
  async function findNew(signal) {
    let cursor = null;
    let newest = reached;
    for (let page = 0; page < MOST_PAGES; page++) {
      const answer = await listOrders({ limit: PAGE, cursor }, signal);
      orders.hear(answer.orders);
      if (page === 0) newest = answer.orders[0]?.createdAt ?? reached;
      cursor = answer.nextCursor;
      const isNews = answer.orders.some((order) => (reached ? order.createdAt > reached : isLive(order)));
      if (!cursor || !isNews) break;
    }
    reached = newest;
  }

  /** Live orders however old, and own ones while no list is to be had. */
  async function findOld(signal) {
    for (const status of LIVE) orders.hear((await listOrders({ status, limit: 100 }, signal)).orders);
  }

  let reached = "";
  let isFirst = true;
  let isAway = false;
  let look = new AbortController();
  // What was asked before the network came back may wait for its answer in vain. The poll itself begins again.
  addEventListener("online", () => look.abort());
  const discover = poll(async () => {
    look = new AbortController();
    const { signal } = look;
    try {
      await findNew(signal);
      if (isFirst) await findOld(signal);
      isFirst = false;
      isAway = false;
      onDiscovery(null);
    } catch (problem) {
      if (signal.aborted) throw problem;
      isAway = true;
      onDiscovery(problem);
      const sought = ownOrders().slice(0, MOST_OWN_SOUGHT);
      sought.filter((orderId) => !orders.get(orderId) && !missing.has(orderId)).forEach(load);
      throw problem;
    }
  }, settings.discoverySeconds);

  function lookAgain() {
    look.abort();
    discover();
  }

  // Those that the socket does not tell of, the ones that were asked for longest ago first.
  poll(async () => {
    const isTold = (order) => socket?.isOpen && socket.watches(order.orderId);
    const unwatched = orders.all().filter((order) => isLive(order) && !isTold(order));
    const turn = unwatched.sort((a, b) => (a.askedAt ?? 0) - (b.askedAt ?? 0)).slice(0, MOST_ASKED);
    await Promise.all(
      turn.map((order) => {
        order.askedAt = Date.now();
        return load(order.orderId);
      }),
    );
  }, settings.discoverySeconds);

  return { load, discover };
}
