/** Exact arithmetic on decimal strings. Amounts and prices never become floats. */

const DECIMAL = /^(-?)(\d+)(?:\.(\d+))?$/;

/** @returns {{units: bigint, places: number}} `units / 10 ** places` */
function parse(text) {
  const [, sign, whole, fraction = ""] = DECIMAL.exec(text) ?? ["", "", "0"];
  return { units: BigInt(`${sign}${whole}${fraction}`), places: fraction.length };
}

/** Both numbers in units of the same size. */
function aligned(left, right) {
  const [a, b] = [parse(left), parse(right)];
  const places = Math.max(a.places, b.places);
  return [a.units * 10n ** BigInt(places - a.places), b.units * 10n ** BigInt(places - b.places)];
}

/** Negative, zero or positive, as `Array.sort` wants it. */
export function compare(left, right) {
  const [a, b] = aligned(left, right);
  return a < b ? -1 : Number(a > b);
}

/**
 * The gap between two positive amounts, in basis points of `reference`, rounded to two decimals: the numbers that the
 * engine gives for its choice.
 */
export function bpsBetween(value, reference) {
  const [a, b] = aligned(value, reference);
  const gap = a > b ? a - b : b - a;
  return b === 0n ? null : fixed((gap * 2_000_000n + b) / (2n * b), 2);
}

/** `numerator / denominator` to 12 significant digits (cut), as the engine writes prices. */
export function ratio(numerator, denominator) {
  const [a, b] = aligned(numerator, denominator);
  if (b === 0n) return null;
  return significant(fixed((a * 10n ** 30n) / b, 30), 12);
}

/** Cut to so many significant digits; zeros at the end go, digits before the point stay. */
export function significant(text, digits) {
  const [whole, fraction = ""] = text.split(".");
  const zeros = /^-?0$/.test(whole) ? fraction.length - fraction.replace(/^0+/, "").length : 0;
  const used = zeros || /^-?0$/.test(whole) ? 0 : whole.replace("-", "").length;
  const kept = fraction.slice(0, Math.max(zeros + digits - used, 0)).replace(/0+$/, "");
  return kept ? `${whole}.${kept}` : whole;
}

/** Percent as a client writes them, in whole basis points; null when they are not. */
export function percentToBps(text) {
  const match = /^(\d{1,3})(?:[.,](\d{1,2})0*)?$/.exec(text.trim());
  return match && Number(match[1]) * 100 + Number((match[2] ?? "").padEnd(2, "0"));
}

export function bpsToPercent(bps) {
  return significant(fixed(BigInt(bps), 2), 8);
}

function fixed(units, places) {
  const digits = String(units < 0n ? -units : units).padStart(places + 1, "0");
  const fraction = digits.slice(digits.length - places).replace(/0+$/, "");
  const whole = digits.slice(0, digits.length - places);
  return `${units < 0n ? "-" : ""}${whole}${fraction && "."}${fraction}`;
}
