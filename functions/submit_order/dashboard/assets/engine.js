/**
 * How the engine does, from its own statistics only. A part that is away is said to be away; nothing is made up for it.
 */

import { getStats, Problem, sentence } from "./api.js";
import { figure, lines, ranking, stackedBars } from "./charts.js";
import { observe } from "./clock.js";
import { bpsToPercent } from "./decimal.js";
import { byId, el, renew, setText } from "./dom.js";
import { bps, duration, moment } from "./format.js";
import { poll } from "./polling.js";

/** Half an hour of samples at the usual pace. */
const MOST_SAMPLES = 360;

const GAIN = "Ahead of the losing venue";

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

function figures({
  confirmed,
  failed,
  expired,
  successRate,
  timeToConfirmMs,
  priceImprovementBps,
  queues,
  oldestLiveOrder,
  unavailable,
}) {
  const isHistoryAway = confirmed === null;
  const none = isHistoryAway ? null : "none yet";
  const oldest = oldestLiveOrder && duration(oldestLiveOrder.ageSeconds * 1000);
  return [
    ["Confirmed", confirmed, isHistoryAway ? "" : `${failed} failed, ${expired} expired`],
    ["Success rate", successRate === null ? none : percentOf(successRate), !isHistoryAway && "of finished orders"],
    [
      "Time to confirm",
      timeToConfirmMs ? duration(timeToConfirmMs.p50) : none,
      timeToConfirmMs && `p95 ${duration(timeToConfirmMs.p95)}`,
    ],
    [
      "Price gain",
      priceImprovementBps ? bps(priceImprovementBps.p50) : none,
      priceImprovementBps && `over the losing venue; p95 ${bps(priceImprovementBps.p95)}`,
    ],
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
  const isHistoryAway = stats.confirmed === null;
  const minutes = stats.perMinute;
  const times = { p50: (sample) => sample.timeToConfirmMs?.p50, p95: (sample) => sample.timeToConfirmMs?.p95 };
  // For the shape of a line, a float is exact enough.
  const gains = {
    p50: (sample) => number(sample.priceImprovementBps?.p50),
    p95: (sample) => number(sample.priceImprovementBps?.p95),
  };
  const depths = { messages: ({ queues }) => queues?.orders && total(queues.orders) };
  return [
    minutes ? perMinute(minutes) : away("Orders per minute"),
    minutes ? successRate(minutes) : away("Success rate"),
    isHistoryAway ? away("Time to confirm") : overTime("Time to confirm", samples, times, duration, timeWords(stats)),
    isHistoryAway ? away(GAIN) : overTime(GAIN, samples, gains, (value) => `${value} bps`, gainWords(stats)),
    stats.queues?.orders ? overTime("Order queue", samples, depths, String, queueWords(stats)) : away("Order queue"),
    stats.failures ? failureCodes(stats.failures) : away("Failures by code"),
  ];
}

function perMinute(minutes) {
  const bars = minutes.map(({ minute, confirmed, failed, expired }) => ({
    label: hourAndMinute(minute),
    values: [confirmed, failed, expired],
  }));
  const totals = [0, 1, 2].map((kind) => bars.reduce((count, bar) => count + bar.values[kind], 0));
  const [confirmed, failed, expired] = totals;
  const words = `In 60 minutes ${confirmed} confirmed, ${failed} failed, ${expired} expired.`;
  const kinds = ["confirmed", "failed", "expired"];
  return figure("Orders per minute", "", stackedBars(bars, kinds, words), kinds);
}

/** A minute without orders has no rate: there the line has a gap. */
function successRate(minutes) {
  const values = minutes.map(({ confirmed, failed, expired }) => {
    const all = confirmed + failed + expired;
    return all ? (confirmed / all) * 100 : null;
  });
  const known = values.filter((value) => value !== null);
  const range = `${Math.min(...known).toFixed(0)} % to ${Math.max(...known).toFixed(0)} %`;
  const words = known.length
    ? `${range}, in ${known.length} minutes with orders.`
    : "No order ended in the last 60 minutes.";
  const labels = [hourAndMinute(minutes[0].minute), hourAndMinute(minutes.at(-1).minute)];
  return figure(
    "Success rate",
    "by minute",
    lines([{ kind: "confirmed", values }], labels, words, (most) => `${most} %`, 100),
  );
}

/** What is only known as of now, sampled since the view was first opened. */
function overTime(name, samples, reads, format, words) {
  const series = Object.entries(reads).map(([kind, read]) => ({
    kind,
    values: samples.map((sample) => read(sample) ?? null),
  }));
  const labels = [moment(samples[0].timestamp), moment(samples.at(-1).timestamp)];
  const kinds = series.length > 1 ? series.map(({ kind }) => kind) : [];
  return figure(name, "while you watch", lines(series.reverse(), labels, words, format), kinds);
}

function failureCodes(failures) {
  const entries = failures.map(({ errorCode, count }) => ({ name: errorCode, count }));
  const chart = entries.length
    ? ranking(entries)
    : el("p", { class: "empty" }, "Nothing failed in the last 60 minutes.");
  return figure("Failures by code", "last 60 minutes", chart);
}

function away(name) {
  return figure(name, "", el("p", { class: "empty away" }, "Unavailable right now."));
}

function gainWords({ priceImprovementBps }) {
  if (!priceImprovementBps) return "No order was confirmed in the last 60 minutes.";
  const { p50, p95 } = priceImprovementBps;
  return `Half of the orders gained at least ${p50} bps over the losing venue, 5 % at least ${p95} bps.`;
}

function queueWords({ queues }) {
  return `${total(queues.orders)} messages now: ${inFlight(queues.orders)}.`;
}

function number(text) {
  return text === undefined ? null : Number(text);
}

function hourAndMinute(timestamp) {
  return moment(timestamp).slice(0, -3);
}

function timeWords({ timeToConfirmMs }) {
  if (!timeToConfirmMs) return "No order was confirmed in the last 60 minutes.";
  const [half, most] = [duration(timeToConfirmMs.p50), duration(timeToConfirmMs.p95)];
  return `Half of the orders were confirmed within ${half}, 95 % within ${most}.`;
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
