/** Puts the page together: each part is a module of its own and knows the others only by what it is given here. */

import { getConfig, sentence } from "./api.js";
import { showCards } from "./cards.js";
import { detailDialog } from "./detail.js";
import { byId, openDialog, setText } from "./dom.js";
import { showEngine } from "./engine.js";
import { amount, openSide, short } from "./format.js";
import { showHistory } from "./history.js";
import { showLoad } from "./load.js";
import { remember } from "./memory.js";
import { isLive, Orders } from "./orders.js";
import { showQuotes } from "./quote.js";
import { readSettings } from "./settings.js";
import { showTabs } from "./tabs.js";
import { Ticket } from "./ticket.js";
import { watch } from "./watching.js";

const CONNECTION = {
  connecting: "Connecting…",
  live: "Live",
  renewing: "Live, renewing",
  waiting: "Reconnecting",
  polling: "Polling",
};

start();

async function start() {
  showTheme();
  byId("open-help").addEventListener("click", () => openDialog(byId("help")));
  const settings = readSettings();
  const config = await patientConfig();
  const orders = new Orders();
  const openDetail = detailDialog(orders);
  const ticketOrders = new Set();

  const ticket = new Ticket(
    config,
    (request, accepted) => {
      ticketOrders.add(accepted.orderId);
      orders.placed(request, accepted);
    },
    (orderId) => {
      tabs.open(0);
      cards.reveal(orderId);
    },
  );
  // Cards first: they hear of what is found.
  const cards = showCards(orders, (orderId) => watching.load(orderId), openDetail);
  announce(orders, ticketOrders);
  const watching = watch(orders, config.webSocketUrl, settings, showConnection, (problem) => {
    banner(
      problem && `Orders cannot be listed: ${sentence(problem)}. Those placed here are still followed; asking again…`,
    );
    cards.listed(problem);
  });
  if (!config.webSocketUrl) showConnection({ kind: "polling" });
  showQuotes(ticket, settings);
  showLoad(orders, ticket);

  let view = "";
  const history = showHistory(config, orders, openDetail, (filters) => tabs.keep("history", filters));
  const askEngine = showEngine(settings, () => view === "engine");
  const tabs = showTabs((opened, parameters) => {
    view = opened;
    if (opened === "history") history.open(parameters);
    if (opened === "engine") askEngine();
  });
  listenToKeys(ticket, tabs);
  document.querySelector("main").inert = false;
  document.documentElement.dataset.ready = "true";
}

/** Without its configuration the page can do nothing, so it asks until it has it. */
async function patientConfig() {
  for (;;) {
    try {
      const config = await getConfig();
      banner(null);
      return config;
    } catch (error) {
      banner(`${sentence(error)}. Trying again…`);
      await new Promise((resolve) => setTimeout(resolve, 2000));
    }
  }
}

/** Says how an order of the ticket ended. Not those of a load: nobody wants to hear a hundred. */
function announce(orders, ticketOrders) {
  orders.listen((order, orderId) => {
    if (!order || isLive(order) || !ticketOrders.delete(orderId)) return;
    const side = openSide(order.summary);
    const last = order.events.at(-1) ?? order.summary;
    const filled = last[side.field] ? `, ${amount(last[side.field])} ${side.token}` : "";
    setText(
      byId("announcer"),
      `Order ${short(orderId)} ${order.status}${filled}${last.error ? `: ${last.error}` : ""}`,
    );
  });
}

function showConnection({ kind, seconds }) {
  byId("connection").dataset.state = kind;
  setText(byId("connection-state"), CONNECTION[kind]);
  // Not part of what is read out: it changes every second.
  setText(byId("connection-wait"), seconds ? `in ${seconds} s…` : "");
}

function banner(text) {
  setText(byId("banner"), text ?? "");
  byId("banner").hidden = !text;
}

function showTheme() {
  const button = byId("theme");
  const prefers = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (document.documentElement.dataset.theme ?? (prefers.matches ? "dark" : "light")) === "dark";
  const draw = () => button.setAttribute("aria-pressed", String(isDark()));
  button.addEventListener("click", () => {
    const theme = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    remember("theme", theme);
    draw();
  });
  prefers.addEventListener("change", draw);
  draw();
}

function listenToKeys(ticket, tabs) {
  const actions = {
    "/": () => ticket.focus(),
    n: () => ticket.focus(),
    f: () => ticket.flip(),
    1: () => tabs.open(0),
    2: () => tabs.open(1),
    3: () => tabs.open(2),
    "?": () => openDialog(byId("help")),
  };
  addEventListener("keydown", (event) => {
    const isTyping = event.target.closest?.("input:not([type=radio]), select, textarea, [contenteditable]");
    const action = actions[event.key];
    if (!action || isTyping || event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]"))
      return;
    event.preventDefault();
    action();
  });
}
