/** The engine's time, as far as its last timestamps tell: the visitor's own clock may be minutes off. */

let offset = 0;

/** @param {string} timestamp of an answer that has just arrived */
export function observe(timestamp) {
  const at = Date.parse(timestamp);
  if (!Number.isNaN(at)) offset = at - Date.now();
}

export function now() {
  return Date.now() + offset;
}
