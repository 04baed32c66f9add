// A field that suggests stored nodes while typing, usable by keyboard and pointer.

import { search } from "./api.js";
import { count, debounced, make, say } from "./dom.js";

const SUGGESTED = 8;
const WAIT = 110; // milliseconds

/** Makes label, input and list; `choose(node)` is called with what was chosen. */
export function combobox(name, label, { placeholder, choose, hue, hidden = false, keeps = false }) {
  const list = make("ul", { role: "listbox", id: `${name}-list`, "aria-label": label, hidden: true });
  const input = make("input", {
    id: name, type: "search", role: "combobox", placeholder, autocomplete: "off", spellcheck: "false",
    "aria-expanded": "false", "aria-controls": list.id, "aria-autocomplete": "list",
  });
  const status = make("span", { role: "status", class: "unseen" });
  let nodes = [];
  let active = -1;
  let running = null;

  const close = () => {
    list.hidden = true;
    active = -1;
    input.setAttribute("aria-expanded", "false");
    input.removeAttribute("aria-activedescendant");
  };
  const pick = (node) => {
    suggest.cancel();
    running?.abort();
    input.value = keeps ? node.id : "";
    close();
    choose(node);
  };
  const highlight = (position) => {
    active = (position + nodes.length) % nodes.length;
    [...list.children].forEach((item, place) => {
      item.setAttribute("aria-selected", String(place === active));
    });
    const item = list.children[active];
    input.setAttribute("aria-activedescendant", item.id);
    item.scrollIntoView({ block: "nearest" });
  };
  const option = (node, position) =>
    make(
      "li",
      {
        role: "option", id: `${name}-${position}`, "aria-selected": "false",
        onpointerdown: (event) => event.preventDefault(), // the field keeps the focus
        onclick: () => pick(node),
      },
      make("span", { class: `dot ${hue(node.predicted)}` }),
      make("strong", {}, node.id),
      make("span", { class: "title" }, node.title),
      make("span", { class: "label" }, node.predicted),
    );
  const lookUp = async () => {
    const words = input.value.trim();
    if (!words) return close();
    running?.abort();
    running = new AbortController();
    try {
      ({ nodes } = await search(words, SUGGESTED, running.signal));
    } catch (error) {
      if (error.name !== "AbortError") say(error.message, true);
      return;
    }
    list.replaceChildren(...nodes.map(option));
    active = -1;
    list.hidden = nodes.length === 0;
    input.setAttribute("aria-expanded", String(nodes.length > 0));
    status.textContent = nodes.length ? count(nodes.length, "suggestion") : `No node matches all of: ${words}`;
  };

  const suggest = debounced(WAIT, lookUp);
  input.addEventListener("input", suggest);
  input.addEventListener("blur", () => {
    suggest.cancel();
    running?.abort();
    close();
  });
  input.addEventListener("keydown", async (event) => {
    if (event.key === "ArrowDown" && nodes.length && !list.hidden) highlight(active + 1);
    else if (event.key === "ArrowUp" && nodes.length && !list.hidden) highlight(active < 0 ? -1 : active - 1);
    else if (event.key === "Escape") close();
    else if (event.key === "Enter") {
      event.preventDefault();
      suggest.cancel();
      if (active >= 0) return pick(nodes[active]);
      await lookUp();
      if (nodes.length && input.value.trim()) pick(nodes[0]);
      return;
    } else return;
    event.preventDefault();
  });
  return {
    input,
    parts: [make("label", { for: name, class: hidden ? "unseen" : null }, label), make("div", { class: "combobox" }, input, list, status)],
  };
}
