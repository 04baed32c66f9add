// An unseen node: typed in, linked to stored ones, and classified while typing.

import { classify, explain } from "./api.js";
import { bars, comparison, explanation } from "./answers.js";
import { combobox } from "./combobox.js";
import { byId, debounced, make, milliseconds, say } from "./dom.js";

const LABELS = 5;
const CLASSIFY_AFTER = 220; // milliseconds without typing
const EXPLAIN_AFTER = 900; // before an explanation is requested

export class InventPanel {
  constructor(neighborhood, service) {
    this.neighborhood = neighborhood;
    this.hue = (label) => neighborhood.colors.hue(label);
    this.links = []; // ids
    this.answered = debounced(CLASSIFY_AFTER, () => this.classify());
    this.explained = debounced(EXPLAIN_AFTER, () => this.explain());
    this.text = make("textarea", {
      id: "invented-text", rows: 4, maxlength: service.limits.text_characters,
      placeholder: "A fast parser of JSON with a command line …", oninput: () => this.answered(),
    });
    const field = combobox("link", "Linked to", {
      placeholder: "Search a stored node to link it to", choose: ({ id }) => this.link(id), hue: this.hue,
    });
    this.chips = make("ul", { class: "chips", "aria-label": "Linked nodes" });
    this.result = make("div", { id: "invented-answer", "aria-live": "polite" });
    this.why = make("div");
    this.teacher = make("div");
    this.selected = make("button", { type: "button", class: "plain", onclick: () => this.link(neighborhood.selected) }, "Link to the selected node");
    byId("invent").replaceChildren(
      make("h1", {}, "An unseen node"),
      make("p", { class: "quiet" }, "Nothing is stored: messages flow from its neighbours into it, and not back."),
      make("label", { for: "invented-text" }, "Its text; the first line is the title"), this.text,
      ...field.parts, make("div", { class: "row" }, this.selected), this.chips,
      this.result, this.why, this.teacher,
    );
    this.service = service;
  }

  get node() {
    return { text: this.text.value, neighbors: this.links };
  }

  link(id) {
    if (!id || this.links.includes(id)) return;
    this.links.push(id);
    this.relink();
    say(`Linked to ${id}`);
  }

  relink() {
    this.chips.replaceChildren(...this.links.map((id) => make("li", {}, id, make("button", {
      type: "button", "aria-label": `Unlink ${id}`,
      onclick: () => {
        this.links = this.links.filter((other) => other !== id);
        this.relink();
      },
    }, "×"))));
    this.answered();
  }

  async classify() {
    const turn = (this.turn = {});
    this.running?.abort();
    this.why.replaceChildren();
    if (!this.text.value.trim()) {
      this.result.replaceChildren();
      this.teacher.replaceChildren();
      return this.neighborhood.invent(null, []);
    }
    this.running = new AbortController();
    try {
      const { answer, took } = await classify([this.node], LABELS, this.running.signal);
      const [prediction] = answer.predictions;
      await this.neighborhood.invent(prediction, this.links);
      if (turn !== this.turn) return;
      this.result.replaceChildren(make("h2", {}, "The student says"), bars(prediction, this.hue),
        make("p", { class: "quiet" }, `Answered in ${milliseconds(took)}, including the text encoder.`));
      // The teacher's answer was about another node.
      this.teacher.replaceChildren(comparison(this.service, () => this.node, this.hue));
      this.explained();
    } catch (error) {
      if (error.name !== "AbortError" && turn === this.turn) this.result.replaceChildren(make("p", { class: "bad" }, error.message));
    }
  }

  async explain() {
    if (!this.text.value.trim()) return;
    const before = JSON.stringify(this.node);
    try {
      const found = explanation(await explain(this.service, this.node), (id) => this.neighborhood.select(id));
      if (found && before === JSON.stringify(this.node)) this.why.replaceChildren(found);
    } catch (error) {
      this.why.replaceChildren(make("p", { class: "bad" }, error.message));
    }
  }
}
