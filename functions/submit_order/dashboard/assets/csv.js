/** Orders as comma-separated values (RFC 4180), safe to open in a spreadsheet. */

export const COLUMNS = [
  "orderId",
  "createdAt",
  "updatedAt",
  "type",
  "status",
  "userId",
  "clientOrderId",
  "tokenIn",
  "tokenOut",
  "swapMode",
  "amount",
  "slippageBps",
  "minAmountOut",
  "maxAmountIn",
  "expiresAt",
  "attempts",
  "dex",
  "reason",
  "amountIn",
  "amountOut",
  "executedPrice",
  "priceImprovementBps",
  "fees",
  "txHash",
  "errorCode",
  "error",
];

/** @param {object[]} orders */
export function toCsv(orders) {
  const lines = orders.map((order) => COLUMNS.map((name) => cell(order[name])).join(","));
  return [COLUMNS.join(","), ...lines, ""].join("\r\n");
}

function cell(value) {
  if (value === null || value === undefined) return "";
  const text = typeof value === "object" ? JSON.stringify(value) : String(value);
  // A spreadsheet would run what begins like a formula, unless it is plainly a number.
  const safe = /^[=+\-@\t\r\n]/.test(text) && !/^-\d+(\.\d+)?$/.test(text) ? `'${text}` : text;
  return /[",\r\n]/.test(safe) ? `"${safe.replaceAll('"', '""')}"` : safe;
}
