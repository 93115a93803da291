/** What survives a reload: the theme, and which orders were placed from here. A browser may forbid it all. */

const MOST_OWN = 500;

export function recall(name, otherwise) {
  try {
    return JSON.parse(localStorage.getItem(name)) ?? otherwise;
  } catch {
    return otherwise;
  }
}

export function remember(name, value) {
  try {
    localStorage.setItem(name, typeof value === "string" ? value : JSON.stringify(value));
  } catch {
    // Nothing here is worth an error.
  }
}

/** Ids of the orders placed in this browser, newest first. */
export function ownOrders() {
  const ids = recall("own", []);
  return Array.isArray(ids) ? ids : [];
}

/** Read again before it is written: another tab may have placed orders too. */
export function rememberOwn(orderId) {
  remember("own", [orderId, ...ownOrders().filter((id) => id !== orderId)].slice(0, MOST_OWN));
}
