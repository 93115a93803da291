/** Places many real orders like the ticket's, and counts what becomes of them. */

import { newKey, Problem, sentence, submitOrder } from "./api.js";
import { byId, el, renew, setText } from "./dom.js";
import { duration } from "./format.js";
import { isLive } from "./orders.js";
import { lane } from "./polling.js";

/** Browsers make six connections to a host: the rest of the page needs some. */
const AT_ONCE = 4;
const TICK_MS = 200;

/** @param {import("./orders.js").Orders} orders @param {import("./ticket.js").Ticket} ticket */
export function showLoad(orders, ticket) {
  const buttons = [...document.querySelectorAll("[data-orders]")];
  let run = null;

  function settle(order) {
    if (order && !isLive(order) && run?.open.delete(order.orderId)) run[order.status] += 1;
  }
  orders.listen(settle);

  async function start(count) {
    const { order, errors } = ticket.read();
    if (Object.keys(errors).length) {
      ticket.showErrors(errors, { isFinal: true });
      return say("The ticket has an error; correct it first.");
    }
    run = {
      count,
      open: new Set(),
      accepted: 0,
      refused: 0,
      confirmed: 0,
      failed: 0,
      expired: 0,
      canceled: 0,
      isStopped: false,
      began: performance.now(),
    };
    setRunning(true);
    say(`Placing ${count} orders…`);
    const timer = setInterval(() => draw(run), TICK_MS);
    const inLane = lane(AT_ONCE);
    await Promise.all(Array.from({ length: count }, () => inLane(() => place(run, order))));
    say(`${run.accepted} accepted; waiting for them to finish…`);
    await settled(run);
    clearInterval(timer);
    draw(run);
    setRunning(false);
    if (!run.lastProblem)
      say(run.isStopped ? "Stopped; what was accepted goes on by itself." : `${run.accepted} orders are finished.`);
    else say(`${run.refused} refused: ${sentence(run.lastProblem)}`);
  }

  async function place(run, order) {
    if (run.isStopped) return;
    try {
      const accepted = await submitOrder(order, newKey());
      run.accepted += 1;
      run.open.add(accepted.orderId);
      orders.placed(order, accepted);
      settle(orders.get(accepted.orderId));
    } catch (problem) {
      if (!(problem instanceof Problem)) throw problem;
      run.refused += 1;
      run.lastProblem = problem;
    }
  }

  for (const button of buttons)
    button.addEventListener("click", () => run?.isRunning || start(Number(button.dataset.orders)));
  byId("stop-load").addEventListener("click", () => (run.isStopped = true));

  function setRunning(isRunning) {
    run.isRunning = isRunning;
    for (const button of buttons) button.setAttribute("aria-disabled", String(isRunning));
    byId("stop-load").hidden = !isRunning;
  }
}

/** Every accepted order has ended, or nobody wants to wait for it. */
async function settled(run) {
  while (run.open.size > 0 && !run.isStopped) await new Promise((resolve) => setTimeout(resolve, TICK_MS / 2));
}

function draw(run) {
  const ms = performance.now() - run.began;
  const ended = run.confirmed + run.failed + run.expired;
  const counters = [
    ["Accepted", `${run.accepted} of ${run.count}`],
    ["Confirmed", run.confirmed],
    ["Failed", run.failed + run.expired],
    ["Refused", run.refused],
    ["Time", duration(ms)],
    ["Finished per second", (ended / (ms / 1000)).toFixed(1)],
  ];
  byId("load-figures").hidden = false;
  renew(byId("load-figures"), {}, () =>
    counters.map(([name, value]) =>
      el("div", { "data-figure": name }, el("dt", {}, name), el("dd", {}, String(value))),
    ),
  );
}

function say(text) {
  setText(byId("load-status"), text);
}
