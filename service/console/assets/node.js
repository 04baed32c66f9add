// The panel about a stored node: its text, the student's answer, why, and the teacher's.

import { classify, explain, node as readNode, Refusal } from "./api.js";
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

  /** Shows a stored node, unless another one is requested meanwhile. */
  async show(id) {
    const turn = (this.turn = {});
    const read = await this.read(id);
    if (turn !== this.turn) return;
    this.id = id;
    [this.about, this.why, this.near, this.text] = ["p", "div", "div", "section"].map((tag) => make(tag));
    this.about.className = "quiet";
    this.text.setAttribute("aria-label", "Text");
    this.answer = make("section", { "aria-label": "The student's answer" });
    this.place.replaceChildren(
      this.heading(id), this.answer, this.why, comparison(this.service, () => ({ id }), this.hue), this.text, this.near,
    );
    await this.fill(turn, read);
  }

  /** Refreshes the shown node; its teacher's answer stays. */
  async renew(id) {
    if (id !== this.id) return;
    const { turn } = this;
    try {
      const read = await this.read(id);
      if (turn === this.turn) await this.fill(turn, read);
    } catch (error) {
      if (!(error instanceof Refusal) || error.code !== "unknown_node") throw error;
      if (turn === this.turn) this.answer.replaceChildren(make("p", { class: "bad", role: "alert" }, `${id} is not stored any more.`));
    }
  }

  async read(id) {
    const [stored, { answer, took }] = await Promise.all([readNode(id), classify([{ id }], LABELS)]);
    return { stored, prediction: answer.predictions[0], took };
  }

  async fill(turn, { stored: { id, text, label, degree }, prediction, took }) {
    this.about.replaceChildren(count(degree, "neighbour"), ...(label === null ? [", no label given"] : [", given label ", make("strong", {}, label)]));
    this.answer.replaceChildren(make("h2", {}, "The student says"), bars(prediction, this.hue),
      make("p", { class: "quiet" }, `Calibrated probabilities, answered in ${milliseconds(took)}.`));
    this.text.replaceChildren(...textOf(text));
    this.near.replaceChildren(this.neighbors(id, this.near.querySelector("details")?.open));
    const section = explanation(await explain(this.service, { id }), (other) => this.neighborhood.select(other));
    if (turn === this.turn) this.why.replaceChildren(...(section ? [section] : []));
  }

  heading(id) {
    const open = make("button", { type: "button", id: "open", onclick: () => this.neighborhood.open(id) }, "Open its neighbours");
    const alone = make("button", { type: "button", class: "plain", onclick: () => this.neighborhood.start(id) }, "Show it alone");
    return make("div", { class: "heading" },
      make("h1", {}, id), this.about,
      make("div", { class: "row" }, open, alone));
  }

  /** The drawn neighbours as a list: a text alternative to the drawing. */
  neighbors(id, opened) {
    const near = this.neighborhood.neighborsOf(id);
    if (near.length === 0) return make("div");
    return make("details", { open: opened },
      make("summary", {}, `${count(near.length, "neighbour")} in the drawing`),
      make("ul", { class: "near" }, near.map((other) => make("li", {},
        make("span", { class: `dot ${this.hue(other.predicted)}` }),
        make("button", { type: "button", class: "link", onclick: () => this.neighborhood.select(other.id) }, other.id),
        make("span", { class: "quiet" }, other.predicted ?? "")))));
  }
}

function textOf(text) {
  const [title, ...rest] = text.split("\n");
  const further = rest.join("\n").trim();
  return [make("h2", {}, "Text"), make("p", { class: "title" }, title), ...(further ? [make("p", { class: "text" }, further)] : [])];
}
