/** Building and changing nodes. Text only ever arrives as text, never as markup. */

const SVG = "http://www.w3.org/2000/svg";

/** @typedef {Node | string | null | undefined | false} Child */

/**
 * An element. Attributes that are null or false are left out; those that begin with "on" are listeners.
 * @param {string} name @param {Record<string, any>} attributes @param {...Child} children
 */
export function el(name, attributes = {}, ...children) {
  return build(document.createElement(name), attributes, children);
}

/** The same in SVG. */
export function svg(name, attributes = {}, ...children) {
  return build(document.createElementNS(SVG, name), attributes, children);
}

export function byId(id) {
  return /** @type {any} */ (document.getElementById(id));
}

/** Writes only what differs: a write costs a layout, a comparison does not. */
export function setText(node, text) {
  if (node.textContent !== text) node.textContent = text;
}

export function setData(node, name, value) {
  if (node.dataset[name] !== String(value)) node.dataset[name] = value;
}

const keys = new WeakMap();

/** Gives `node` new children, unless they were made from the same `key` the last time. */
export function renew(node, key, children) {
  if (keys.get(node) === key) return;
  keys.set(node, key);
  node.replaceChildren(...children().filter(Boolean));
}

/** Rows of a description list; those without a value are left out. */
export function facts(pairs) {
  return pairs
    .filter(([, value]) => value !== null && value !== undefined && value !== "")
    .map(([name, value, title]) => el("div", { title, class: width(value) }, el("dt", {}, name), el("dd", {}, value)));
}

/** Opens a dialog. Its close button and a click beside it close it, Escape does so by itself. */
export function openDialog(dialog) {
  dialog.onclick = (event) => {
    if (event.target === dialog || event.target.closest("[data-close]")) dialog.close();
  };
  if (!dialog.open) dialog.showModal();
}

export function copyButton(text, what) {
  const button = el("button", { type: "button", class: "quiet copy", "aria-label": `Copy ${what}` }, "Copy");
  button.addEventListener("click", async () => {
    const isCopied = await navigator.clipboard?.writeText(text).then(
      () => true,
      () => false,
    );
    button.textContent = isCopied ? "Copied" : "Not allowed";
    setTimeout(() => (button.textContent = "Copy"), 1500);
  });
  return button;
}

function width(value) {
  const { length } = value.textContent ?? value;
  return length > 32 ? "longest" : length > 20 ? "long" : null;
}

function build(node, attributes, children) {
  for (const [name, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
  return node;
}
