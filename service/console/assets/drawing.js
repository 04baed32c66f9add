// The neighbourhood as a drawing: dragged, moved, zoomed, and walked through with arrow keys.

import { draw, percent } from "./dom.js";
import { Layout } from "./layout.js";

const MOST_NAMED = 60; // nodes whose names are all shown
const NAME_LENGTH = 22; // characters of a name
const LETTER_WIDTH = 7; // pixels of one, at most, as names are written
const REDUCED_MOTION = matchMedia("(prefers-reduced-motion: reduce)");
const STEPS_AT_ONCE = 260;
const DIRECTIONS = { ArrowRight: [1, 0], ArrowLeft: [-1, 0], ArrowDown: [0, 1], ArrowUp: [0, -1] };

export function radiusOf(degree) {
  return 6.5 + Math.min(9, 1.6 * Math.log2(1 + degree));
}

export class Drawing {
  /** `on` has `select(id)` and `open(id)`; `covered()` gives the pixels that something lies over. */
  constructor(svg, on, covered = () => 0) {
    this.svg = svg;
    this.covered = covered;
    this.on = on;
    this.layout = new Layout();
    this.links = draw("g", { class: "links" });
    this.nodes = draw("g", { class: "nodes" });
    svg.append(this.links, this.nodes);
    this.shapes = new Map(); // id → {group, circle, name}
    this.lines = [];
    this.camera = { x: 0, y: 0, scale: 1 };
    this.following = true; // the camera shows all, until a person moves it
    this.frame = null;
    this.listen();
    new ResizeObserver(() => (this.following ? this.fit() : this.aim())).observe(svg);
  }

  /** Shows nodes {id, label, hue, score, degree, kind} and edges [id, id]. */
  show(nodes, edges, selected) {
    this.selected = selected;
    this.edges = edges;
    const wanted = new Set(nodes.map(({ id }) => id));
    this.tabStop = wanted.has(selected) ? selected : nodes[0]?.id; // the node that Tab reaches
    for (const [id, shape] of this.shapes) {
      if (!wanted.has(id)) {
        shape.group.remove();
        this.shapes.delete(id);
      }
    }
    for (const node of nodes) this.update(node);
    this.svg.classList.toggle("many", nodes.length > MOST_NAMED);
    this.links.replaceChildren(
      ...edges.map(([first, second]) =>
        draw("line", {
          class: first === selected || second === selected ? "near" : null,
          "data-ends": JSON.stringify([first, second]),
        }),
      ),
    );
    const known = this.layout.points.size;
    this.layout.aspect = this.svg.clientWidth / Math.max(this.svg.clientHeight, 1);
    this.layout.set(nodes.map(({ id, degree }) => ({ id, radius: radiusOf(degree) })), edges);
    if (known === 0 || REDUCED_MOTION.matches) {
      for (let step = 0; step < STEPS_AT_ONCE && !this.layout.still; step += 1) this.layout.step();
    }
    this.move();
  }

  update({ id, label, hue, score, degree, kind }) {
    let shape = this.shapes.get(id);
    if (!shape) {
      shape = { circle: draw("circle"), name: draw("text", { "aria-hidden": "true" }) };
      shape.group = draw("g", { role: "button", "data-id": id }, shape.circle, shape.name);
      this.nodes.append(shape.group);
      this.shapes.set(id, shape);
    }
    const radius = radiusOf(degree);
    const chosen = id === this.selected;
    const words = kind === "invented" ? "your node" : id;
    const letters = [...words]; // none of which is cut in half
    shape.name.textContent = letters.length > NAME_LENGTH ? `${letters.slice(0, NAME_LENGTH - 1).join("")}…` : words;
    shape.radius = radius;
    shape.name.setAttribute("y", radius + 2);
    shape.circle.setAttribute("r", radius);
    shape.circle.style.setProperty("--sure", `${Math.round(30 + 70 * (score ?? 0))}%`);
    shape.group.setAttribute("class", `node ${hue} ${kind}${chosen ? " selected" : ""}`);
    shape.group.setAttribute("tabindex", id === this.tabStop ? "0" : "-1");
    shape.group.setAttribute("aria-pressed", String(chosen));
    const answer = label ? `predicted ${label}, ${percent(score)}` : "not classified yet";
    shape.group.setAttribute("aria-label", `${words}: ${answer}; ${degree} neighbours`);
  }

  /** Highlights only nodes with that label; null: all. */
  pick(ids) {
    this.svg.classList.toggle("picking", ids !== null);
    for (const [id, { group }] of this.shapes) group.classList.toggle("picked", ids?.has(id) ?? false);
  }

  /** Marks nodes whose answers changed. */
  flash(ids) {
    for (const id of ids) {
      const group = this.shapes.get(id)?.group;
      group?.classList.add("changed");
      setTimeout(() => group?.classList.remove("changed"), 4000);
    }
  }

  move() {
    this.frame ??= requestAnimationFrame(() => this.animate());
  }

  animate() {
    this.frame = null;
    const steps = REDUCED_MOTION.matches ? STEPS_AT_ONCE : 2;
    for (let step = 0; step < steps && !this.layout.still; step += 1) this.layout.step();
    this.paint();
    if (!this.layout.still) this.move();
  }

  paint() {
    if (this.following) this.fit();
    else if (this.layout.still) this.declutter();
    for (const [id, { group }] of this.shapes) {
      const point = this.layout.points.get(id);
      group.setAttribute("transform", `translate(${point.x.toFixed(1)} ${point.y.toFixed(1)})`);
    }
    [...this.links.children].forEach((line, position) => {
      const [first, second] = this.edges[position].map((id) => this.layout.points.get(id));
      line.setAttribute("x1", first.x.toFixed(1));
      line.setAttribute("y1", first.y.toFixed(1));
      line.setAttribute("x2", second.x.toFixed(1));
      line.setAttribute("y2", second.y.toFixed(1));
    });
  }

  fit() {
    const { clientWidth, clientHeight } = this.svg;
    const above = this.covered();
    let scale = 1;
    let box;
    for (let turn = 0; turn < 2; turn += 1) { // names keep their size, so how wide they are depends on the scale
      box = this.layout.box((id) => (this.shapes.get(id).name.textContent.length * LETTER_WIDTH) / 2 / scale);
      scale = Math.max(Math.min(clientWidth / box[2], (clientHeight - above) / box[3], 1.5), 0.1);
    }
    const [x, y, width, height] = box;
    this.camera = { x: x + width / 2, y: y + (height - above / scale) / 2, scale };
    this.following = true;
    this.aim();
  }

  aim() {
    const { x, y, scale } = this.camera;
    const [width, height] = [this.svg.clientWidth / scale, this.svg.clientHeight / scale];
    this.nameSize = Math.min(24, Math.max(9, 11.5 / scale));
    this.svg.style.setProperty("--names", `${this.nameSize}px`);
    if (this.layout.still) this.declutter();
    this.svg.setAttribute("viewBox", [x - width / 2, y - height / 2, width, height].join(" "));
  }

  /** Hides names that would lie over others; of two the selected node's stays, or the more linked. */
  declutter() {
    const first = ([id, { radius }]) => (id === this.selected ? Infinity : radius);
    const placed = [];
    for (const [id, { name, radius }] of [...this.shapes].sort((one, other) => first(other) - first(one))) {
      const point = this.layout.points.get(id);
      const size = this.nameSize * (id === this.selected ? 1.25 : 1); // it is written larger, and bold
      const [wide, high] = [name.textContent.length * size * 0.6, size * 1.4];
      const spot = { x: point.x, y: point.y + radius, wide, high };
      const over = placed.some((other) =>
        Math.abs(other.x - spot.x) < (other.wide + wide) / 2 && Math.abs(other.y - spot.y) < Math.max(other.high, high));
      name.classList.toggle("over", over);
      if (!over) placed.push(spot);
    }
  }

  /** Zooms about a place of the window, or the middle. */
  zoom(factor, place = null) {
    const before = place && this.locate(place);
    this.camera.scale = Math.min(4, Math.max(0.1, this.camera.scale * factor));
    this.following = false;
    this.aim();
    if (before) {
      const after = this.locate(place);
      this.camera.x += before.x - after.x;
      this.camera.y += before.y - after.y;
      this.aim();
    }
  }

  locate({ clientX, clientY }) {
    const { left, top, width, height } = this.svg.getBoundingClientRect();
    const { x, y, scale } = this.camera;
    return { x: x + (clientX - left - width / 2) / scale, y: y + (clientY - top - height / 2) / scale };
  }

  listen() {
    const idAt = (event) => event.target.closest?.(".node")?.dataset.id;
    this.svg.addEventListener("pointerdown", (event) => this.grab(event, idAt(event)));
    this.svg.addEventListener("click", (event) => {
      const id = idAt(event);
      if (id !== undefined && !this.dragged) this.on.select(id);
    });
    this.svg.addEventListener("dblclick", (event) => {
      const id = idAt(event);
      if (id !== undefined) this.on.open(id);
    });
    this.svg.addEventListener("wheel", (event) => {
      event.preventDefault();
      this.zoom(Math.exp(-event.deltaY * 0.0015), event);
    }, { passive: false });
    this.svg.addEventListener("keydown", (event) => this.press(event, idAt(event)));
  }

  grab(event, id) {
    if (event.button !== 0) return;
    this.dragged = false;
    const start = this.locate(event);
    const origin = [event.clientX, event.clientY];
    const point = id === undefined ? null : this.layout.points.get(id);
    const drag = (moved) => {
      if (Math.hypot(moved.clientX - origin[0], moved.clientY - origin[1]) < 4 && !this.dragged) return;
      this.dragged = true;
      const here = this.locate(moved);
      this.following = false;
      if (point) {
        Object.assign(point, { x: here.x, y: here.y, held: true });
        this.layout.warm(0.3);
        this.move();
      } else {
        this.camera.x += start.x - here.x;
        this.camera.y += start.y - here.y;
        this.aim();
      }
    };
    const drop = () => {
      removeEventListener("pointermove", drag);
      removeEventListener("pointerup", drop);
      removeEventListener("pointercancel", drop);
    };
    addEventListener("pointermove", drag);
    addEventListener("pointerup", drop);
    addEventListener("pointercancel", drop);
  }

  press(event, id) {
    if (id === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
    if (event.key in DIRECTIONS) this.walk(id, DIRECTIONS[event.key]);
    else if (event.key === "Enter" || event.key === " ") this.on.select(id);
    else if (event.key === "o") this.on.open(id);
    else if (event.key === "+") this.zoom(1.25);
    else if (event.key === "-") this.zoom(0.8);
    else if (event.key === "0") this.fit();
    else return;
    event.preventDefault();
  }

  /** Puts the focus on the nearest node in a direction. */
  walk(id, [right, down]) {
    const from = this.layout.points.get(id);
    let best = null;
    for (const [other, point] of this.layout.points) {
      const [dx, dy] = [point.x - from.x, point.y - from.y];
      const along = dx * right + dy * down;
      const aside = Math.abs(dx * down) + Math.abs(dy * right);
      const cost = along + 2 * aside;
      if (other !== id && along > 1 && (best === null || cost < best.cost)) best = { other, cost };
    }
    if (best) this.shapes.get(best.other).group.focus();
  }
}
