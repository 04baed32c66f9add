// Colours of labels: assigned as labels appear, and kept until another start node is chosen.

const HUES = 10; // classes h0 to h9 of the style sheet; what comes later is grey

export class Colors {
  constructor() {
    this.assigned = new Map();
  }

  /** Forgets all colours; that label gets the first one. */
  begin(label) {
    this.assigned = new Map([[label, 0]]);
  }

  /** Gives colours to labels that have none yet, the most frequent first. */
  meet(labels) {
    const counts = new Map();
    for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
    const fresh = [...counts].filter(([label]) => !this.assigned.has(label));
    fresh.sort(([a, many], [b, more]) => more - many || a.localeCompare(b));
    for (const [label] of fresh) this.assigned.set(label, this.assigned.size);
  }

  hue(label) {
    const place = this.assigned.get(label);
    return place === undefined || place >= HUES ? "other" : `h${place}`;
  }
}
