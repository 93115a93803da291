/** How the engine does, from its own statistics only. A part that is away is said to be away; nothing is made up for it. */

import { getStats, Problem, sentence } from "./api.js";
import { figure, lines, ranking, stackedBars } from "./charts.js";
import { observe } from "./clock.js";
import { bpsToPercent } from "./decimal.js";
import { byId, el, renew, setText } from "./dom.js";
import { bps, duration, moment } from "./format.js";
import { poll } from "./polling.js";

/** Half an hour of samples at the usual pace. */
const MOST_SAMPLES = 360;

/** @param {() => boolean} isWanted whether anybody looks @returns {() => void} asks now */
export function showEngine(settings, isWanted) {
  /** What only has a value now, and becomes a line while the page is open. */
  const samples = [];

  return poll(
    async () => {
      try {
        const stats = await getStats();
        observe(stats.timestamp);
        samples.push(stats);
        if (samples.length > MOST_SAMPLES) samples.shift();
        show(stats, samples);
      } catch (problem) {
        if (!(problem instanceof Problem)) throw problem;
        say(`${sentence(problem)}. The numbers below are from before; asking again.`);
        throw problem;
      }
    },
    settings.statsSeconds,
    isWanted,
  );
}

function show(stats, samples) {
  const away = stats.unavailable;
  say(away.length ? `Unavailable right now: ${away.join(", ")}. What hangs on it is not shown.` : "");
  setText(byId("engine-status"), `last 60 minutes, as of ${moment(stats.timestamp)}`);
  renew(byId("figures"), stats, () => figures(stats).map(([name, value, note]) => tile(name, value, note)));
  renew(byId("charts"), stats, () => charts(stats, samples));
}

function figures({ confirmed, failed, expired, successRate, timeToConfirmMs, priceImprovementBps, queues, oldestLiveOrder, unavailable }) {
  const isHistoryAway = confirmed === null;
  const none = isHistoryAway ? null : "none yet";
  const oldest = oldestLiveOrder && duration(oldestLiveOrder.ageSeconds * 1000);
  return [
    ["Confirmed", confirmed, isHistoryAway ? "" : `${failed} failed, ${expired} expired`],
    ["Success rate", successRate === null ? none : percentOf(successRate), "of finished orders"],
    ["Time to confirm", timeToConfirmMs ? duration(timeToConfirmMs.p50) : none, timeToConfirmMs && `p95 ${duration(timeToConfirmMs.p95)}`],
    ["Ahead of losing venue", priceImprovementBps ? bps(priceImprovementBps.p50) : none, priceImprovementBps && `p95 ${bps(priceImprovementBps.p95)}`],
    ["Order queue", depth(queues?.orders), inFlight(queues?.orders)],
    ["Status queue", depth(queues?.statuses), inFlight(queues?.statuses)],
    ["Dead letters", depth(queues?.deadLetters), queues?.deadLetters ? "orders to look at" : ""],
    ["Oldest live order", oldest ?? (unavailable.length ? null : "none"), ""],
  ];
}

function tile(name, value, note) {
  const isAway = value === null || value === undefined;
  return el(
    "div",
    { "data-figure": name, class: isAway ? "away" : null },
    el("dt", {}, name),
    el("dd", {}, isAway ? "unavailable" : String(value)),
    note && el("dd", { class: "note" }, note),
  );
}

function charts(stats, samples) {
  const since = moment(samples[0].timestamp);
  const labels = [since, moment(stats.timestamp)];
  const depths = samples.map(({ queues }) => (queues?.orders ? total(queues.orders) : null));
  const [p50, p95] = ["p50", "p95"].map((name) => samples.map(({ timeToConfirmMs }) => timeToConfirmMs?.[name] ?? null));
  return [
    stats.perMinute ? perMinute(stats.perMinute) : away("Orders per minute"),
    stats.failures ? failureCodes(stats.failures) : away("Failures by code"),
    stats.timeToConfirmMs || stats.confirmed !== null
      ? figure("Time to confirm", "p50 and p95 of the last hour, since this page was opened", lines([{ kind: "p95", values: p95 }, { kind: "p50", values: p50 }], labels, timeWords(stats), duration))
      : away("Time to confirm"),
    stats.queues?.orders
      ? figure("Order queue", "waiting, delayed and in flight, since this page was opened", lines([{ kind: "p50", values: depths }], labels, `${depths.at(-1)} messages now; at most ${Math.max(...depths)} since ${since}.`, String))
      : away("Order queue"),
  ];
}

function perMinute(minutes) {
  const bars = minutes.map(({ minute, confirmed, failed, expired }) => ({ label: moment(minute).slice(0, -3), values: [confirmed, failed, expired] }));
  const totals = [0, 1, 2].map((kind) => bars.reduce((count, bar) => count + bar.values[kind], 0));
  const words = `In 60 minutes ${totals[0]} confirmed, ${totals[1]} failed, ${totals[2]} expired; in the last one ${bars.at(-1).values.join(", ")}.`;
  return figure("Orders per minute", "confirmed, failed, expired", stackedBars(bars, ["confirmed", "failed", "expired"], words));
}

function failureCodes(failures) {
  const entries = failures.map(({ errorCode, count }) => ({ name: errorCode, count }));
  const chart = entries.length ? ranking(entries) : el("p", { class: "empty" }, "Nothing failed in the last 60 minutes.");
  return figure("Failures by code", "last 60 minutes", chart);
}

function away(name) {
  return figure(name, "", el("p", { class: "empty away" }, "Unavailable right now."));
}

function timeWords({ timeToConfirmMs }) {
  if (!timeToConfirmMs) return "No order was confirmed in the last 60 minutes.";
  return `Half of the orders were confirmed within ${duration(timeToConfirmMs.p50)}, 95 % within ${duration(timeToConfirmMs.p95)}.`;
}

function depth(queue) {
  return queue ? String(total(queue)) : null;
}

function inFlight(queue) {
  return queue ? `${queue.waiting} waiting, ${queue.inFlight} in flight, ${queue.delayed} delayed` : "";
}

function total(queue) {
  return queue.waiting + queue.inFlight + queue.delayed;
}

/** "0.9833" is 98.33 %. */
function percentOf(rate) {
  const [whole, fraction = ""] = rate.split(".");
  return `${bpsToPercent(whole + fraction.padEnd(4, "0").slice(0, 4))} %`;
}

function say(text) {
  setText(byId("engine-error"), text);
  byId("engine-error").hidden = !text;
}
