/** The views as tabs: arrow keys, Home and End move between them, and the URL's hash says which one is open. */

import { byId } from "./dom.js";

const PANELS = ["live-orders", "history", "engine"];

/** @param {(view: string, parameters: URLSearchParams) => void} onOpen also for the view that the page begins with */
export function showTabs(onOpen) {
  const tabs = PANELS.map((panel) => document.querySelector(`[aria-controls=${panel}]`));
  let opened = null;

  function follow() {
    const [view, query = ""] = location.hash.replace(/^#\/?/, "").split("?");
    const index = Math.max(PANELS.indexOf(view), 0);
    tabs.forEach((tab, other) => {
      tab.setAttribute("aria-selected", String(other === index));
      tab.tabIndex = other === index ? 0 : -1;
      byId(PANELS[other]).hidden = other !== index;
    });
    if (opened !== location.hash) onOpen(PANELS[index], new URLSearchParams(query));
    opened = location.hash;
  }

  // With a slash, no element has this name, and the browser does not scroll to it.
  const hashes = PANELS.map((panel) => `#/${panel}`);
  function open(index) {
    if (!byId(PANELS[index]).hidden) return;
    location.hash = hashes[index];
    // Without waiting for the event.
    follow();
  }

  tabs.forEach((tab, index) => {
    tab.addEventListener("click", () => open(index));
    tab.addEventListener("keydown", (event) => {
      const moves = { ArrowLeft: index - 1, ArrowRight: index + 1, Home: 0, End: tabs.length - 1 };
      if (!(event.key in moves)) return;
      event.preventDefault();
      const target = (moves[event.key] + tabs.length) % tabs.length;
      open(target);
      tabs[target].focus();
    });
  });
  document.querySelector(".skip").addEventListener("click", (event) => {
    // The hash is taken.
    event.preventDefault();
    PANELS.map(byId)
      .find((panel) => !panel.hidden)
      .focus();
  });
  addEventListener("hashchange", follow);
  follow();

  return {
    open,
    /** Puts what a view shows into the hash, without opening it again. */
    keep(view, parameters) {
      const query = String(parameters);
      const hash = `#/${view}${query && `?${query}`}`;
      hashes[PANELS.indexOf(view)] = hash;
      opened = hash;
      history.replaceState(null, "", hash);
    },
  };
}
