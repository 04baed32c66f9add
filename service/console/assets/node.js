// The panel about a stored node: its text, the student's answer, why, and the teacher's.

import { classify, explain, node as readNode } from "./api.js";
import { bars, comparison, explanation } from "./answers.js";
import { byId, count, make, milliseconds } from "./dom.js";

const LABELS = 5;

export class NodePanel {
  constructor(neighborhood, service) {
    this.place = byId("node");
    this.neighborhood = neighborhood;
    this.service = service;
    this.hue = (label) => neighborhood.colors.hue(label);
  }

  /** Shows a stored node; what is asked about another one meanwhile wins. */
  async show(id) {
    const turn = (this.turn = {});
    const [stored, { answer, took }] = await Promise.all([readNode(id), classify([{ id }], LABELS)]);
    if (turn !== this.turn) return;
    const [prediction] = answer.predictions;
    const why = make("div");
    this.place.replaceChildren(
      this.heading(stored),
      make("section", { "aria-label": "The student's answer" },
        make("h2", {}, "The student says"), bars(prediction, this.hue),
        make("p", { class: "quiet" }, `Calibrated probabilities, answered in ${milliseconds(took)}.`)),
      why,
      comparison(this.service, () => ({ id }), this.hue),
      textOf(stored.text),
      this.neighbors(id),
    );
    const told = explanation(await explain(this.service, { id }), (other) => this.neighborhood.select(other));
    if (told && turn === this.turn) why.replaceChildren(told);
  }

  heading({ id, label, degree }) {
    const open = make("button", { type: "button", id: "open", onclick: () => this.neighborhood.open(id) }, "Open its neighbours");
    const alone = make("button", { type: "button", class: "plain", onclick: () => this.neighborhood.start(id) }, "Show it alone");
    return make("div", { class: "heading" },
      make("h1", {}, id),
      make("p", { class: "quiet" }, count(degree, "neighbour"), label === null ? ", no label given" : [", given label ", make("strong", {}, label)]),
      make("div", { class: "row" }, open, alone));
  }

  /** Those that are drawn, as a list: the drawing once more, in words. */
  neighbors(id) {
    const near = this.neighborhood.neighborsOf(id);
    if (near.length === 0) return make("div");
    return make("details", {},
      make("summary", {}, `${count(near.length, "neighbour")} in the drawing`),
      make("ul", { class: "near" }, near.map((other) => make("li", {},
        make("span", { class: `dot ${this.hue(other.predicted)}` }),
        make("button", { type: "button", class: "link", onclick: () => this.neighborhood.select(other.id) }, other.id),
        make("span", { class: "quiet" }, other.predicted ?? "")))));
  }
}

function textOf(text) {
  const [title, ...rest] = text.split("\n");
  return make("section", { "aria-label": "Text" }, make("h2", {}, "Text"),
    make("p", { class: "title" }, title),
    rest.join("").trim() ? make("p", { class: "text" }, rest.join("\n").trim()) : null);
}
