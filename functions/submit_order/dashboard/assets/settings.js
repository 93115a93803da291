/**
 * Timings, in seconds. Each may be overridden in the page's query string, which is how tests wait less:
 * `?pingSeconds=1&maxConnectionSeconds=5`.
 */

const DEFAULTS = {
  /** API Gateway closes a connection after ten minutes without a frame. A ping also finds out that one is dead. */
  pingSeconds: 45,
  /** How long a pong may take before the connection counts as dead. */
  pongSeconds: 10,
  /** API Gateway closes a connection after two hours in any case; a fresh one is opened before. */
  maxConnectionSeconds: 110 * 60,
  /** The first and the longest wait between two attempts to connect. */
  backoffSeconds: 1,
  maxBackoffSeconds: 30,
  /** How often to look for orders of others, and for those that the socket has no place for. */
  discoverySeconds: 3,
  /** How often a quote is asked for again. */
  quoteSeconds: 5,
  statsSeconds: 5,
};

/** @returns {typeof DEFAULTS} */
export function readSettings(query = location.search) {
  const parameters = new URLSearchParams(query);
  return Object.fromEntries(
    Object.entries(DEFAULTS).map(([name, usual]) => {
      const value = Number(parameters.get(name));
      return [name, value > 0 ? value : usual];
    }),
  );
}
