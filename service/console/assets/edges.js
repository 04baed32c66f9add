// Adds and removes edges, and shows which answers of the shown nodes changed.

import { addEdge, removeEdge } from "./api.js";
import { combobox } from "./combobox.js";
import { byId, count, make, percent, say } from "./dom.js";

export class EdgesPanel {
  constructor(neighborhood) {
    this.neighborhood = neighborhood;
    this.hue = (label) => neighborhood.colors.hue(label);
    const field = (name, label) => combobox(name, label, {
      placeholder: "Id or words", choose: () => this.linked(), hue: this.hue, keeps: true,
    });
    const [source, target] = [field("source", "From"), field("target", "To")];
    [this.source, this.target] = [source.input, target.input];
    this.add = make("button", { type: "submit" }, "Add the edge");
    this.remove = make("button", { type: "button", class: "plain", onclick: () => this.change(removeEdge, this.pair) }, "Remove it");
    this.list = make("ul", { class: "near", "aria-label": "Edges of the selected node" });
    this.changes = make("div", { id: "changes", "aria-live": "polite" });
    const form = make("form", { class: "stack", onsubmit: (event) => {
      event.preventDefault();
      this.change(addEdge, this.pair);
    } }, ...source.parts, ...target.parts, make("div", { class: "row" }, this.add, this.remove));
    byId("edges").replaceChildren(
      make("h1", {}, "Change the graph"),
      make("p", { class: "quiet" }, "A change is stored, and exactly the answers that it affects are computed anew. The shown nodes are classified before and after."),
      form, this.changes, make("h2", {}, "Edges in the drawing"), this.list,
    );
  }

  get pair() {
    return [this.source.value.trim(), this.target.value.trim()];
  }

  /** The selected node is where an edge begins, unless one is being written. */
  follow(id) {
    this.source.value = id ?? "";
    this.linked();
  }

  linked() {
    const id = this.source.value.trim();
    this.list.replaceChildren(...this.neighborhood.neighborsOf(id).map((other) => make("li", {},
      make("span", { class: `dot ${this.hue(other.predicted)}` }), make("span", { class: "label" }, other.id),
      make("button", {
        type: "button", class: "link", "aria-label": `Remove the edge to ${other.id}`,
        onclick: () => this.change(removeEdge, [id, other.id]),
      }, "remove"))));
  }

  /** Makes one change after the other, so that each one's own effect is shown. */
  inTurn(work) {
    this.turns = (this.turns ?? Promise.resolve()).then(work).catch((error) => say(error.message, true));
    return this.turns;
  }

  change(work, pair) {
    return this.inTurn(() => this.make(work, pair));
  }

  async make(work, [source, target]) {
    if (!source || !target) return say("Name both ends of the edge.", true);
    const added = work === addEdge;
    for (const id of added ? [source, target] : []) await this.neighborhood.include(id);
    const before = this.neighborhood.answers();
    const { graph_version: version } = await work(source, target);
    const differences = await this.neighborhood.refresh(added ? [[source, target]] : [], added ? [] : [[source, target]], before);
    this.report(added, source, target, version, differences);
    this.linked();
  }

  report(added, source, target, version, differences) {
    const undo = make("button", { type: "button", class: "plain", onclick: () => this.change(added ? removeEdge : addEdge, [source, target]) }, "Undo");
    this.changes.replaceChildren(
      make("p", {}, make("strong", {}, source), added ? " is linked to " : " is no longer linked to ", make("strong", {}, target), `; graph version ${version}. `, undo),
      differencesTable(differences, this.hue),
    );
  }

  /** Reports the graph's version; if another client changed the graph, shows the changed answers. */
  notice(version) {
    return this.inTurn(async () => {
      if (this.neighborhood.nodes.size === 0 || version <= this.neighborhood.version) return;
      const differences = await this.neighborhood.refresh();
      if (differences?.length) this.noticed(version, differences);
    });
  }

  noticed(version, differences) {
    this.changes.replaceChildren(make("p", {}, `The graph is at version ${version} now.`), differencesTable(differences, this.hue));
  }
}

function differencesTable(differences, hue) {
  if (differences === null) return null; // another drawing was begun
  if (differences.length === 0) return make("p", { class: "quiet" }, "No answer among the nodes that are drawn changed.");
  const cell = ({ predicted, score }) => make("td", {}, make("span", { class: `dot ${hue(predicted)}` }), predicted, " ", make("small", {}, percent(score)));
  return make("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": "Answers that changed" }, make("table", {},
    make("caption", {}, count(differences.length, "answer"), " changed"),
    make("thead", {}, make("tr", {}, ["Node", "Before", "After"].map((title) => make("th", { scope: "col" }, title)))),
    make("tbody", {}, differences.slice(0, 40).map(({ id, before, after }) =>
      make("tr", { class: before.predicted === after.predicted ? null : "turned" }, make("th", { scope: "row" }, id), cell(before), cell(after))))));
}
