/** The HTTP API. All paths are relative: locally it lives below a longer one. */

const TIMEOUT_MS = 20_000;
const SUBMIT_DELAYS_MS = [300, 1000, 2000, 4000];

/** An answer that is no success, or none at all (then `status` is 0). */
export class Problem extends Error {
  /**
   * @param {{status: number, code: string, detail: string, retryable: boolean,
   *          errors?: {pointer: string, detail: string}[]}} facts
   */
  constructor({ status, code, detail, retryable, errors = [] }) {
    super(detail);
    Object.assign(this, { status, code, detail, retryable, errors });
  }
}

export const getConfig = () => call("api/config");
export const getStats = (signal) => call("api/stats", { signal });
export const getOrder = (orderId, signal) => call(`api/orders/${encodeURIComponent(orderId)}`, { signal });
export const getQuote = (order, signal) => call("api/quotes", { body: order, signal });

/** @param {Record<string, string | number | null | undefined>} filter empty values are left out */
export function listOrders(filter, signal) {
  const wanted = Object.entries(filter).filter(([, value]) => value !== "" && value !== null && value !== undefined);
  return call(`api/orders?${new URLSearchParams(wanted)}`, { signal });
}

/**
 * Places an order, once however often it is tried: what may be tried again is, under the same key.
 * @param {(problem: Problem) => void} [onRetry]
 */
export async function submitOrder(order, key, onRetry = () => {}) {
  for (const delay of [...SUBMIT_DELAYS_MS, null]) {
    try {
      return await call("api/orders", { body: order, headers: { "Idempotency-Key": key } });
    } catch (error) {
      if (!(error instanceof Problem) || !error.retryable || delay === null) throw error;
      onRetry(error);
      await new Promise((resolve) => setTimeout(resolve, delay * (0.5 + Math.random())));
    }
  }
}

/** Random, and made without `randomUUID`, which pages of plain HTTP do not have. */
export function newKey() {
  return Array.from(crypto.getRandomValues(new Uint8Array(16)), (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** A sentence for people. */
export function sentence(error) {
  if (!(error instanceof Problem)) return String(error);
  return error.code ? `${error.detail} (${error.code})` : error.detail;
}

async function call(path, { body, headers = {}, signal } = {}) {
  const limit = AbortSignal.timeout(TIMEOUT_MS);
  const options = { headers, cache: "no-store", signal: signal ? AbortSignal.any([signal, limit]) : limit };
  if (body) {
    Object.assign(options, { method: "POST", body: JSON.stringify(body) });
    options.headers = { ...headers, "Content-Type": "application/json" };
  }
  let response, answer;
  try {
    response = await fetch(path, options);
    answer = await response.json();
  } catch (error) {
    if (signal?.aborted) throw error;
    if (response) throw unreadable(response.status);
    throw new Problem({ status: 0, code: "", detail: "The engine does not answer", retryable: true });
  }
  if (!response.ok) {
    if (!answer.detail) throw unreadable(response.status);
    // API Gateway's own refusals (429, 503) have no `retryable`.
    throw new Problem({
      retryable: response.status === 429 || response.status >= 500,
      ...answer,
      status: response.status,
    });
  }
  return answer;
}

function unreadable(status) {
  const detail = `The engine answered ${status}, which the page cannot read`;
  return new Problem({ status, code: "", detail, retryable: status === 429 || status >= 500 });
}
