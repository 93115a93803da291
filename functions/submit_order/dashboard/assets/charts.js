/**
 * Small charts in SVG, from numbers that were measured: what is missing is a gap, not a zero. Each says in words
 * what it shows.
 */

import { el, svg } from "./dom.js";

const WIDTH = 600;
const HEIGHT = 120;

/** A chart with its heading, and with a key to its colours where it has several. */
export function figure(name, note, chart, kinds = []) {
  const keys = kinds.map((kind) => el("span", { class: `key ${kind}` }, kind));
  return el(
    "figure",
    { class: "chart" },
    el("figcaption", {}, el("h3", {}, name), el("span", { class: "note" }, note), ...keys),
    chart,
  );
}

/**
 * Stacked bars over time.
 * @param {{label: string, values: number[]}[]} bars @param {string[]} kinds a class for each value of a bar
 */
export function stackedBars(bars, kinds, words) {
  const most = Math.max(1, ...bars.map((bar) => sum(bar.values)));
  const step = WIDTH / bars.length;
  const columns = bars.flatMap((bar, index) => {
    let top = HEIGHT;
    return bar.values.map((value, kind) => {
      const height = (value / most) * HEIGHT;
      top -= height;
      const place = {
        x: round(index * step + step * 0.12),
        y: round(top),
        width: round(step * 0.76),
        height: round(height),
      };
      return (
        value > 0 &&
        svg("rect", { ...place, class: kinds[kind] }, svg("title", {}, `${bar.label}: ${value} ${kinds[kind]}`))
      );
    });
  });
  return framed(words, [...grid(), ...columns], [String(most), bars[0]?.label ?? "", bars.at(-1)?.label ?? ""]);
}

/**
 * Lines over time; null is a gap.
 * @param {{kind: string, values: (number | null)[]}[]} series
 * @param {[string, string]} labels of the first and the last moment
 * @param {string} words
 * @param {(value: number) => string} format of the highest value
 * @param {number} most the least that the scale reaches to
 */
export function lines(series, labels, words, format, most = 0) {
  const known = series.flatMap(({ values }) => values.filter((value) => value !== null));
  most = Math.max(most, ...known) || 1;
  const count = Math.max(2, ...series.map(({ values }) => values.length));
  const paths = series.map(({ kind, values }) => {
    let isOn = false;
    const points = values.map((value, index) => {
      if (value === null) return ((isOn = false), "");
      const command = isOn ? "L" : "M";
      isOn = true;
      // A dot of no length, for a value between two gaps.
      return `${command}${round((index / (count - 1)) * WIDTH)} ${round(HEIGHT - (value / most) * HEIGHT)}h.01`;
    });
    return svg("path", { d: points.join(""), class: kind });
  });
  return framed(words, [...grid(), ...paths], [known.length ? format(most) : "", ...labels]);
}

/** Bars beside each other, each with its name and number: they need no other words. */
export function ranking(entries) {
  const most = Math.max(1, ...entries.map((entry) => entry.count));
  return el(
    "ul",
    { class: "ranking" },
    ...entries.map(({ name, count }) =>
      el(
        "li",
        {},
        el("code", {}, name),
        el("span", { class: "number" }, String(count)),
        svg(
          "svg",
          { viewBox: "0 0 100 4", preserveAspectRatio: "none", "aria-hidden": "true" },
          svg("rect", { width: (count / most) * 100, height: 4, class: "failed" }),
        ),
      ),
    ),
  );
}

function framed(words, content, [most, from, to]) {
  const frame = {
    viewBox: `0 -4 ${WIDTH} ${HEIGHT + 8}`,
    preserveAspectRatio: "none",
    role: "img",
    "aria-label": words,
  };
  return el(
    "div",
    { class: "plot" },
    el("span", { class: "most", "aria-hidden": "true" }, most),
    svg("svg", frame, ...content),
    el("p", { class: "axis", "aria-hidden": "true" }, el("span", {}, from), el("span", {}, to)),
  );
}

function grid() {
  return [0, 0.5, 1].map((part) =>
    svg("line", { x1: 0, x2: WIDTH, y1: part * HEIGHT, y2: part * HEIGHT, class: "grid" }),
  );
}

function sum(values) {
  return values.reduce((total, value) => total + value, 0);
}

function round(value) {
  return Math.round(value * 100) / 100;
}
