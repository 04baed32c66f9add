// Tabs as the accessibility guidelines want them: one stop, arrow keys between.

import { byId } from "./dom.js";

/** Returns a function that shows a panel by its name. */
export function tabs(names) {
  const buttons = names.map((name) => byId(`tab-${name}`));
  const show = (name) => {
    names.forEach((other, position) => {
      const chosen = other === name;
      byId(other).hidden = !chosen;
      buttons[position].setAttribute("aria-selected", String(chosen));
      buttons[position].tabIndex = chosen ? 0 : -1;
    });
  };
  buttons.forEach((button, position) => {
    button.addEventListener("click", () => show(names[position]));
    button.addEventListener("keydown", (event) => {
      const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
      if (!step) return;
      event.preventDefault();
      const next = (position + step + names.length) % names.length;
      show(names[next]);
      buttons[next].focus();
    });
  });
  return show;
}
