// The shown part of the graph: nodes, edges, expanded nodes, and the selected node.

import { classify, Refusal, surroundings } from "./api.js";
import { byId, count, make, say } from "./dom.js";
import { Colors } from "./colors.js";
import { Drawing } from "./drawing.js";

const FIRST = innerWidth < 860 ? 14 : 28; // neighbours of the node that one begins with
const FURTHER = 14; // of each that is opened then
const INVENTED = " invented"; // no stored id begins with a blank
const NOTICED = 0.0005; // change of a score

const edgeKey = (pair) => JSON.stringify([...pair].sort());

export class Neighborhood {
  /**
   * `on.selected(id)` is called for each node that is selected, `on.invented()` for the invented
   * one, and `on.answered(id)` where the selected one may have another answer, edge or none any more.
   */
  constructor(on) {
    this.on = on;
    this.colors = new Colors();
    const [legend, tools] = [byId("legend"), byId("tools")];
    this.drawing = new Drawing(
      byId("drawing"),
      { select: (id) => this.select(id), open: (id) => this.open(id) },
      () => (getComputedStyle(legend).position === "absolute" ? legend : tools).offsetHeight,
    );
    this.most = 300; // nodes that are drawn, and asked about at once
    this.clear();
    this.turn = {}; // of the node that one began with; what was asked before it comes too late
  }

  clear() {
    this.nodes = new Map(); // id → as the service shows it
    this.edges = new Map(); // key → [id, id]
    this.invented = null; // {prediction, links}
    this.selected = null;
    this.picked = null; // a label of the legend
  }

  /** Begins anew with a node and its neighbours. */
  async start(id) {
    const turn = (this.turn = {});
    const around = await surroundings(id, Math.min(FIRST, this.most - 1), []);
    if (turn !== this.turn) return;
    const invented = this.invented;
    this.clear();
    this.invented = invented;
    this.version = around.graph_version;
    this.colors.begin(around.nodes[0].predicted);
    if (invented?.prediction.label) this.colors.meet([invented.prediction.label]);
    this.take(around);
    this.drawing.following = true;
    await this.select(id);
  }

  /** Adds neighbours of a node that is shown. */
  async open(id) {
    if (!this.nodes.has(id)) return say(`${id} is not drawn any more`, true);
    const { turn } = this;
    const beside = [...this.nodes.keys()];
    const room = this.most - beside.length;
    if (room <= 0) return say(`${this.most} nodes are drawn, and no more; show one alone to begin anew.`, true);
    try {
      const around = await surroundings(id, Math.min(FURTHER, room), beside);
      if (turn !== this.turn) return;
      this.take(around);
      const fresh = around.nodes.length - 1;
      say(fresh ? `${count(fresh, "neighbour")} of ${id} opened` : `All neighbours of ${id} are drawn`);
      this.drawing.following = true;
      this.paint();
      if (this.selected === id) this.on.answered(id);
    } catch (error) {
      say(error.message, true);
    }
  }

  /** Adds one stored node, with its edges to those that are shown. */
  async include(id) {
    if (this.nodes.has(id)) return;
    const { turn } = this;
    const around = await surroundings(id, 0, [...this.nodes.keys()].slice(-this.most));
    if (turn !== this.turn) return;
    this.take(around);
    this.drawing.following = true;
  }

  take({ nodes, edges }) {
    this.colors.meet(nodes.map(({ predicted }) => predicted));
    for (const node of nodes) this.nodes.set(node.id, node);
    for (const edge of edges) this.edges.set(edgeKey(edge), edge);
  }

  async select(id) {
    if (id === INVENTED) return this.on.invented();
    const choice = (this.choice = {});
    try {
      await this.include(id);
    } catch (error) {
      return say(error.message, true);
    }
    if (choice !== this.choice || !this.nodes.has(id)) return; // another was chosen meanwhile
    this.selected = id;
    this.paint();
    return this.on.selected(id);
  }

  neighborsOf(id) {
    const near = [...this.edges.values()].filter((edge) => edge.includes(id)).map(([first, second]) => (first === id ? second : first));
    return near.map((other) => this.nodes.get(other)).filter(Boolean).sort((a, b) => a.id.localeCompare(b.id));
  }

  /** The answers as they are drawn: id → {predicted, score}. */
  answers() {
    return new Map([...this.nodes].map(([id, { predicted, score }]) => [id, { predicted, score }]));
  }

  /** Requests all answers again after a change of edges; returns the changed ones, or null if another drawing was started. */
  async refresh(added = [], removed = [], before = this.answers()) {
    for (const edge of removed) this.link(edge, false);
    for (const edge of added) this.link(edge, true);
    const { turn } = this;
    const { answers, version } = await this.ask([...this.nodes.keys()]);
    if (turn !== this.turn) return null;
    if (version !== null) this.version = version;
    const differences = [];
    for (const [id, { label, score, error }] of answers) {
      if (!this.nodes.has(id)) continue;
      if (error) {
        this.drop(id);
        continue;
      }
      const [old, after] = [before.get(id), { predicted: label, score }];
      Object.assign(this.nodes.get(id), after);
      if (old && (old.predicted !== label || Math.abs(old.score - score) >= NOTICED)) differences.push({ id, before: old, after });
    }
    this.colors.meet(differences.map(({ after }) => after.predicted));
    differences.sort((a, b) => Number(a.before.predicted === a.after.predicted) - Number(b.before.predicted === b.after.predicted)
      || Math.abs(b.before.score - b.after.score) - Math.abs(a.before.score - a.after.score));
    this.paint();
    this.drawing.flash(differences.map(({ id }) => id));
    const { selected } = this;
    const linked = [...added, ...removed].some((edge) => edge.includes(selected));
    if (linked || differences.some(({ id }) => id === selected)) this.on.answered(selected);
    return differences;
  }

  /** Classifies nodes in requests of the allowed size: [id, prediction], and the oldest version. */
  async ask(ids) {
    const answers = [];
    let version = null;
    for (let start = 0; start < ids.length; start += this.most) {
      const part = ids.slice(start, start + this.most);
      try {
        const { answer } = await classify(part.map((id) => ({ id })), 1);
        version = Math.min(version ?? Infinity, answer.graph_version);
        answer.predictions.forEach((prediction, position) => answers.push([part[position], prediction]));
      } catch (error) {
        if (!(error instanceof Refusal) || error.code !== "unknown_node") throw error;
        for (const id of part) answers.push([id, { error }]); // not one of them is stored any more
      }
    }
    return { answers, version };
  }

  link(edge, linked) {
    if (this.edges.has(edgeKey(edge)) === linked) return;
    if (linked) this.edges.set(edgeKey(edge), edge);
    else this.edges.delete(edgeKey(edge));
    for (const id of edge) {
      const node = this.nodes.get(id);
      if (node) node.degree += linked ? 1 : -1;
    }
  }

  /** Forgets a node that is not stored any more. */
  drop(id) {
    this.nodes.delete(id);
    if (id === this.selected) {
      this.selected = null;
      this.on.answered(id);
    }
    for (const [key, edge] of this.edges) if (edge.includes(id)) this.edges.delete(key);
  }

  /** Draws the invented node beside the others, or takes it away. */
  async invent(prediction, links) {
    this.invented = prediction && { prediction, links: [...links] };
    if (prediction?.label) this.colors.meet([prediction.label]);
    for (const id of links) await this.include(id);
    this.paint();
  }

  paint() {
    const nodes = [...this.nodes.values()].map(({ id, predicted, score, degree }) => ({
      id, label: predicted, score, degree, hue: this.colors.hue(predicted), kind: "stored",
    }));
    const edges = [...this.edges.values()].filter((edge) => edge.every((id) => this.nodes.has(id)));
    if (this.invented) {
      const { prediction: { label, score } } = this.invented;
      const links = this.invented.links.filter((id) => this.nodes.has(id)); // others are not drawn
      nodes.push({ id: INVENTED, label, score, degree: this.invented.links.length, hue: label ? this.colors.hue(label) : "other", kind: "invented" });
      edges.push(...links.map((id) => [INVENTED, id]));
    }
    const { selected } = this;
    const left = (this.nodes.get(selected)?.degree ?? 0) - this.neighborsOf(selected).length;
    byId("note").textContent = left > 0 ? `${count(left, "further neighbour")} of ${selected}: open it for more` : "";
    this.legend(nodes);
    this.drawing.show(nodes, edges, this.selected);
    this.pick(nodes);
  }

  legend(nodes) {
    const counts = new Map();
    for (const { label } of nodes) if (label) counts.set(label, (counts.get(label) ?? 0) + 1);
    if (!counts.has(this.picked)) this.picked = null;
    const ordered = [...counts].sort(([a, many], [b, more]) => more - many || a.localeCompare(b));
    byId("legend").replaceChildren(...ordered.map(([label, many]) => make("button", {
      type: "button", class: "entry", "aria-pressed": String(label === this.picked),
      onclick: () => {
        this.picked = this.picked === label ? null : label;
        this.legend(nodes);
        this.pick(nodes);
        [...byId("legend").children].find((entry) => entry.dataset.label === label)?.focus();
      },
      "data-label": label,
    }, make("span", { class: `dot ${this.colors.hue(label)}` }), label, " ", make("span", { class: "count" }, String(many)))));
  }

  /** Highlights the nodes of the label that is selected in the legend. */
  pick(nodes) {
    this.drawing.pick(this.picked === null ? null : new Set(nodes.filter(({ label }) => label === this.picked).map(({ id }) => id)));
  }
}
