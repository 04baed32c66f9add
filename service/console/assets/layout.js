// Positions of nodes: repulsion between all, springs along edges, a pull to the middle, cooling.
// Computes every pair, which suffices for a few hundred nodes.

const REPULSION = 5200;
const SPRING = 0.06;
const LENGTH = 92;
const PULL = 0.01;
const FRICTION = 0.62;
const COOLING = 0.985;
const COLD = 0.02;
const NARROW = 0.5; // names are wider than high, so nodes keep more room beside than above
const ROOM = 18; // between two nodes, beside their radii

export class Layout {
  constructor() {
    this.points = new Map(); // id → {x, y, vx, vy, radius, held}
    this.springs = []; // pairs of points
    this.heat = 0;
  }

  /** New nodes start next to a placed neighbour; the others stay where they are. */
  set(nodes, edges) {
    const points = new Map();
    const known = (id) => this.points.get(id) ?? points.get(id);
    const near = new Map();
    for (const [first, second] of edges) {
      near.set(first, [...(near.get(first) ?? []), second]);
      near.set(second, [...(near.get(second) ?? []), first]);
    }
    nodes.forEach(({ id, radius }, position) => {
      const old = this.points.get(id);
      const beside = (near.get(id) ?? []).map(known).find((point) => point !== undefined);
      const angle = position * 2.399963; // the golden angle: no two in one direction
      const distance = beside ? LENGTH * 0.9 : 12 * Math.sqrt(position);
      const x = (beside?.x ?? 0) + distance * Math.cos(angle);
      const y = (beside?.y ?? 0) + distance * Math.sin(angle);
      points.set(id, old ? Object.assign(old, { radius }) : { x, y, vx: 0, vy: 0, radius, held: false });
    });
    this.points = points;
    this.springs = edges
      .map(([first, second]) => [points.get(first), points.get(second)])
      .filter(([first, second]) => first && second);
    this.strength = new Map();
    for (const point of this.springs.flat()) {
      this.strength.set(point, (this.strength.get(point) ?? 0) + 1);
    }
    this.warm(1);
  }

  warm(heat) {
    this.heat = Math.max(this.heat, heat);
  }

  get still() {
    return this.heat < COLD;
  }

  /** One step; a node that is held moves only with what holds it. */
  step() {
    const points = [...this.points.values()];
    this.repel(points);
    for (const [first, second] of this.springs) this.draw(first, second);
    for (const point of points) {
      point.vx = (point.vx - (PULL / this.wide) * this.heat * point.x) * FRICTION;
      point.vy = (point.vy - PULL * this.wide * this.heat * point.y) * FRICTION;
      if (point.held) continue;
      point.x += Math.max(-30, Math.min(30, point.vx));
      point.y += Math.max(-30, Math.min(30, point.vy));
    }
    this.heat *= COOLING;
  }

  /** A wide place is filled by pulling less sideways than down. */
  get wide() {
    return Math.min(2, Math.max(0.6, this.aspect ?? 1));
  }

  repel(points) {
    for (let i = 0; i < points.length; i += 1) {
      for (let j = i + 1; j < points.length; j += 1) {
        const [first, second] = [points[i], points[j]];
        const dx = second.x - first.x || 0.1 * (i - j);
        const dy = second.y - first.y || 0.1;
        const squared = Math.max(dx * dx + dy * dy, 16);
        const distance = Math.sqrt(squared);
        const overlap = first.radius + second.radius + ROOM - Math.hypot(dx * NARROW, dy);
        let force = (REPULSION * this.heat) / squared;
        if (overlap > 0) force += overlap * 0.3;
        const [fx, fy] = [(dx / distance) * force, (dy / distance) * force];
        first.vx -= fx;
        first.vy -= fy;
        second.vx += fx;
        second.vy += fy;
      }
    }
  }

  /** A spring is the weaker, the more its less linked end has: hubs are not torn to the middle. */
  draw(first, second) {
    const dx = second.x - first.x;
    const dy = second.y - first.y;
    const distance = Math.max(Math.hypot(dx, dy), 1);
    const links = Math.min(this.strength.get(first), this.strength.get(second));
    const wanted = LENGTH + first.radius + second.radius;
    const force = (SPRING * this.heat * (distance - wanted)) / Math.sqrt(links);
    first.vx += (dx / distance) * force * 1.5;
    first.vy += (dy / distance) * force * 1.5;
    second.vx -= (dx / distance) * force * 1.5;
    second.vy -= (dy / distance) * force * 1.5;
  }

  /** The smallest box around all nodes, `beside(id)` wide to either side: x, y, width, height. */
  box(beside = () => 0, margin = 44) {
    const points = [...this.points];
    if (points.length === 0) return [-200, -150, 400, 300];
    const ends = (values, sign) => sign * Math.max(...values.map((value) => sign * value));
    const [left, right] = [-1, 1].map((sign) =>
      ends(points.map(([id, p]) => p.x + sign * Math.max(p.radius + margin / 2, beside(id))), sign));
    const [top, bottom] = [-1, 1].map((sign) => ends(points.map(([, p]) => p.y + sign * (p.radius + margin)), sign));
    return [left, top, right - left, bottom - top];
  }
}
