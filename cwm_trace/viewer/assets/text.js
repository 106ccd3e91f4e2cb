// Text of programs on the page: always as text nodes, and nothing in it can hide or turn other text around.

const SHOWN = 400; // characters of a value in a table
const HIDDEN = /[\p{Cc}\p{Cf}\p{Cs}\p{Co}\p{Cn}\u2028\u2029]/gu;
const PLAIN = /^[\x20-\x7e]*$/;

function escaped(char) {
  if (char === "\n") return "\\n";
  if (char === "\t") return "\\t";
  const code = char.codePointAt(0).toString(16);
  return code.length <= 2
    ? `\\x${code.padStart(2, "0")}`
    : code.length <= 4
      ? `\\u${code.padStart(4, "0")}`
      : `\\u{${code}}`;
}

// Nodes of a text; what cannot be seen is written as an escape and marked.
function visible(text, keepTabs = false) {
  if (PLAIN.test(text)) return [document.createTextNode(text)];
  const nodes = [];
  let from = 0;
  for (const match of text.matchAll(HIDDEN)) {
    if (keepTabs && match[0] === "\t") continue;
    nodes.push(document.createTextNode(text.slice(from, match.index)));
    nodes.push(make("span", { class: "escape" }, escaped(match[0])));
    from = match.index + match[0].length;
  }
  nodes.push(document.createTextNode(text.slice(from)));
  return nodes;
}

// An element: attributes, `on…` listeners; children are nodes or strings.
function make(tag, attributes = {}, ...children) {
  const node = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (value == null || value === false) continue;
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else node.setAttribute(name, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child != null));
  return node;
}

// A value in a table: its beginning, and a button for the rest.
function shown(slot) {
  if (slot == null) return [make("span", { class: "gone" }, "not bound")];
  const [text, type, clipped] = slot;
  const nodes = visible(text.length > SHOWN ? text.slice(0, SHOWN) : text);
  const value = make("bdi", { class: "value", title: type || null }, ...nodes);
  if (text.length <= SHOWN && !clipped) return [value];
  const length = (text.length + clipped).toLocaleString("en");
  if (text.length <= SHOWN) return [value, make("span", { class: "gone" }, ` … of ${length} characters`)];
  const all = make(
    "button",
    { type: "button", class: "more", onclick: () => showWhole(text) },
    `… all ${length} characters`,
  );
  return [value, all];
}

function showWhole(text) {
  openDialog("The whole value", make("pre", { class: "whole", tabindex: "0" }, ...visible(text)));
}

function short(text, length = 60) {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}

// Dialogs

function openDialog(title, ...content) {
  const dialog = document.getElementById("dialog");
  const close = make("button", { type: "button", onclick: () => dialog.close() }, "Close");
  dialog.replaceChildren(make("h2", { id: "dialog-title" }, title), ...content, close);
  if (!dialog.open) dialog.showModal();
  const field = dialog.querySelector("input");
  (field || close).focus();
  return dialog;
}

// Ask for a text; `answer` gets it, and may return a sentence to show instead of closing.
function ask(title, type, value, answer) {
  const field = make("input", { type, "aria-label": title, value, autocomplete: "off" });
  const says = make("p", { role: "status" });
  const form = make("form", {}, field, make("button", {}, "Go"), says);
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    says.textContent = (await answer(field.value)) || "";
    if (!says.textContent) document.getElementById("dialog").close();
  });
  openDialog(title, form);
  field.select();
}
