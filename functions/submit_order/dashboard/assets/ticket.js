/** The order ticket: what is in its fields, what is wrong with them, and placing the order. */

import { newKey, Problem, sentence, submitOrder } from "./api.js";
import { now } from "./clock.js";
import { bpsToPercent, percentToBps } from "./decimal.js";
import { byId, el, setText } from "./dom.js";
import { short } from "./format.js";

/** Members of an order, by the id of the field that each is typed into. */
const FIELDS = { minAmountOut: "limit", maxAmountIn: "limit", swapMode: "tokenIn" };
const PRESETS = [10, 50, 100, 300];
const MAX_SLIPPAGE_BPS = 5000;
const DECIMAL = /^(0|[1-9]\d*)(\.\d+)?$/;
/** The second click of a double click comes when the first one's order may have been accepted already. */
const REST_MS = 800;

export class Ticket {
  #form = byId("ticket");
  #config;
  #onPlaced;
  #onChange = () => {};
  #isPlacing = false;
  #isBusy = false;
  /** The order that was last sent and its key, until it is known to be accepted or refused. */
  #intent = null;

  /** The order that was placed last. */
  #placedId = "";

  /**
   * @param {object} config of the engine
   * @param {(request: object, accepted: object) => void} onPlaced
   * @param {(orderId: string) => void} onShow the visitor wants to see the order that was placed last
   */
  constructor(config, onPlaced, onShow) {
    this.#config = config;
    this.#onPlaced = onPlaced;
    const symbols = config.tokens.map((token) => token.symbol);
    for (const id of ["tokenIn", "tokenOut"])
      byId(id).replaceChildren(...symbols.map((symbol) => el("option", {}, symbol)));
    byId("tokenOut").value = symbols.includes("USDC") ? "USDC" : symbols[1];
    byId("type").replaceChildren(...config.orderTypes.map((type) => el("option", {}, type)));
    this.#offerSlippage(config.defaultSlippageBps);
    this.#form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.#submit();
    });
    this.#form.addEventListener("input", (event) => this.#changed(event.target));
    byId("flip").addEventListener("click", () => this.flip());
    byId("show-placed").addEventListener("click", () => onShow(this.#placedId));
    this.#form.dataset.tokenIn = byId("tokenIn").value;
    this.#form.dataset.tokenOut = byId("tokenOut").value;
    this.#label();
  }

  /** While an order is on its way to the engine. */
  get isPlacing() {
    return this.#isPlacing;
  }

  /** @param {() => void} listener called after every change of what the ticket asks for */
  onChange(listener) {
    this.#onChange = listener;
  }

  focus() {
    byId("amount").focus();
    byId("amount").select();
  }

  flip() {
    const [tokenIn, tokenOut] = [byId("tokenIn"), byId("tokenOut")];
    [tokenIn.value, tokenOut.value] = [tokenOut.value, tokenIn.value];
    this.#changed(tokenIn);
  }

  /**
   * The order, in the API's words, and what is wrong with it by the ids of the fields. Only what is sure to be refused
   * counts as wrong, in the engine's own words where it has some.
   */
  read() {
    const values = Object.fromEntries(new FormData(this.#form));
    const isBuy = values.swapMode === "exactOut";
    const errors = {};
    const order = {
      type: values.type,
      tokenIn: values.tokenIn,
      tokenOut: values.tokenOut,
      swapMode: values.swapMode,
      amount: plain(values.amount),
      slippageBps: values.slippage ? Number(values.slippage) : percentToBps(values.own),
    };
    const fixed = isBuy ? order.tokenOut : order.tokenIn;
    const open = isBuy ? order.tokenIn : order.tokenOut;
    errors.amount = order.amount ? this.#wrongAmount(order.amount, fixed) : "is required";
    if (order.tokenIn === order.tokenOut) errors.tokenOut = "must be another token than the first";
    if (order.slippageBps === null || order.slippageBps > MAX_SLIPPAGE_BPS) {
      errors.slippageBps = "must be a percentage from 0 to 50, with at most two decimals";
    }
    const limit = plain(values.limit);
    if (limit) {
      errors.limit = this.#wrongAmount(limit, open);
      order[isBuy ? "maxAmountIn" : "minAmountOut"] = limit;
    }
    const minutes = values.expires.trim() && Number(values.expires.replace(",", "."));
    if (minutes && minutes > 0 && minutes <= 30 * 24 * 60) {
      order.expiresAt = new Date(now() + minutes * 60_000).toISOString();
    } else if (minutes !== "") {
      errors.expiresAt = "must be a number of minutes, at most 43200 (30 days)";
    }
    if (values.userId) order.userId = values.userId;
    return { order, errors: Object.fromEntries(Object.entries(errors).filter(([, detail]) => detail)) };
  }

  /**
   * Shows each error at its field; all others go.
   * @param {Record<string, string>} errors by the ids of the fields
   * @param {{isFinal?: boolean}} options an empty field is only told when the order was to be placed
   */
  showErrors(errors, { isFinal = false } = {}) {
    for (const message of this.#form.querySelectorAll(".error")) {
      const id = message.id.replace("-error", "");
      const detail = errors[id] && (isFinal || byId(id).value !== "") ? errors[id] : "";
      setText(message, detail && `${nameOf(id)} ${detail}`);
      if (detail) byId(id).setAttribute("aria-invalid", "true");
      else byId(id).removeAttribute("aria-invalid");
    }
    const advanced = byId("advanced");
    if (isFinal && Object.keys(errors).some((id) => advanced.contains(byId(id)))) advanced.open = true;
    if (isFinal) this.#form.querySelector("[aria-invalid]")?.focus();
  }

  /** @returns {{fields: Record<string, string>, rest: string}} errors of the engine: those of fields, and a sentence */
  sort(problem) {
    const fields = {};
    const rest = [];
    for (const { pointer, detail } of problem.errors ?? []) {
      const name = pointer.replace("#/", "");
      const id = FIELDS[name] ?? name;
      if (this.#form.elements.namedItem(id) || byId(`${id}-error`)) fields[id] = detail;
      else rest.push(`${name}: ${detail}`);
    }
    return { fields, rest: problem.errors?.length ? rest.join("; ") : sentence(problem) };
  }

  async #submit() {
    if (this.#isBusy) return;
    const { order, errors } = this.read();
    this.showErrors(errors, { isFinal: true });
    if (Object.keys(errors).length) return this.#say("");
    this.#setBusy(true);
    this.#isPlacing = true;
    this.#say("Placing the order…");
    const intent = this.#intentOf(order);
    try {
      const accepted = await submitOrder(intent.order, intent.key, (problem) =>
        this.#say(`${problem.detail}; trying again…`),
      );
      this.#intent = null;
      this.#onPlaced(intent.order, accepted);
      this.#say(`Order ${short(accepted.orderId)} accepted`);
      this.#placedId = accepted.orderId;
      byId("show-placed").hidden = false;
    } catch (problem) {
      this.#refused(problem);
    }
    this.#isPlacing = false;
    this.#onChange();
    setTimeout(() => this.#setBusy(false), REST_MS);
  }

  /** The same order keeps its key until its fate is known, so that trying again cannot place it twice. */
  #intentOf(order) {
    const { expiresAt, ...fixed } = order;
    const text = JSON.stringify([fixed, byId("expiresAt").value]);
    if (this.#intent?.text !== text) this.#intent = { text, order, key: newKey() };
    return this.#intent;
  }

  #refused(problem) {
    if (!(problem instanceof Problem)) throw problem;
    if (problem.retryable) {
      return this.#say(`${sentence(problem)}. Press again to go on: the order is placed at most once.`, "wrong");
    }
    this.#intent = null;
    const { fields, rest } = this.sort(problem);
    this.showErrors(fields, { isFinal: true });
    this.#say(rest, "wrong");
  }

  #setBusy(isBusy) {
    this.#isBusy = isBusy;
    // Not `disabled`, which would take the focus away.
    byId("submit").setAttribute("aria-disabled", String(isBusy));
  }

  #say(text, kind = "") {
    setText(byId("ticket-status"), text);
    byId("ticket-status").dataset.kind = kind;
    byId("show-placed").hidden = true;
  }

  #changed(field) {
    const { dataset } = this.#form;
    const [tokenIn, tokenOut] = [byId("tokenIn"), byId("tokenOut")];
    // Choosing the other side's token means to flip.
    if (field === tokenIn && tokenIn.value === tokenOut.value) tokenOut.value = dataset.tokenIn;
    if (field === tokenOut && tokenIn.value === tokenOut.value) tokenIn.value = dataset.tokenOut;
    [dataset.tokenIn, dataset.tokenOut] = [tokenIn.value, tokenOut.value];
    if (field.id === "slippageBps") for (const preset of this.#form.elements.slippage) preset.checked = false;
    if (field.name === "slippage") byId("slippageBps").value = "";
    if (!this.#isBusy) this.#say("");
    this.#label();
    this.showErrors(this.read().errors);
    this.#onChange();
  }

  #label() {
    const { order } = this.read();
    const isBuy = order.swapMode === "exactOut";
    const [fixed, open] = isBuy ? [order.tokenOut, order.tokenIn] : [order.tokenIn, order.tokenOut];
    setText(byId("amount-unit"), fixed);
    setText(byId("limit-unit"), open);
    setText(byId("limit-label"), isBuy ? "Most to pay" : "Least to receive");
    setText(byId("submit"), isBuy ? `Buy ${fixed} with ${open}` : `Sell ${fixed} for ${open}`);
    this.#form.dataset.mode = order.swapMode;
  }

  #offerSlippage(usual) {
    const presets = [...new Set([...PRESETS, usual])].sort((a, b) => a - b);
    byId("slippage-presets").replaceChildren(
      ...presets.map((bps) =>
        el(
          "label",
          {},
          el("input", { type: "radio", name: "slippage", value: bps, checked: bps === usual }),
          el("span", {}, `${bpsToPercent(bps)} %`),
        ),
      ),
    );
  }

  #wrongAmount(text, symbol) {
    if (!DECIMAL.test(text)) return "must be a decimal number such as 1.5";
    if (/^[0.]+$/.test(text)) return "must be greater than zero";
    const decimals = this.#config.tokens.find((token) => token.symbol === symbol)?.decimals ?? 0;
    const used = (text.split(".")[1] ?? "").replace(/0+$/, "").length;
    return used > decimals ? `is too fine: ${symbol} has at most ${decimals} decimals` : null;
  }
}

/** "1,5" and " 1.5 " are 1.5; "1,000.5" stays what it is, and wrong: nobody should have to guess. */
function plain(text) {
  const trimmed = text.trim();
  return /^\d*,\d+$/.test(trimmed) ? trimmed.replace(",", ".") : trimmed;
}

function nameOf(id) {
  if (id === "slippageBps") return "Slippage";
  return document.querySelector(`label[for="${id}"]`)?.textContent ?? id;
}
