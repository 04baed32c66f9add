// Colours of labels: assigned as labels appear, and kept until another start node is chosen.

const HUES = 10; // classes h0 to h9 of the style sheet; what comes later is grey

export class Colors {
  constructor() {
    this.given = new Map();
  }

  /** Forgets all colours; the given label gets the first one. */
  begin(label) {
    this.given = new Map([[label, 0]]);
  }

  /** Gives colours to labels that have none yet, the most frequent first. */
  meet(labels) {
    const counts = new Map();
    for (const label of labels) counts.set(label, (counts.get(label) ?? 0) + 1);
    const fresh = [...counts].filter(([label]) => !this.given.has(label));
    fresh.sort(([a, many], [b, more]) => more - many || a.localeCompare(b));
    for (const [label] of fresh) this.given.set(label, this.given.size);
  }

  hue(label) {
    const place = this.given.get(label);
    return place === undefined || place >= HUES ? "other" : `h${place}`;
  }
}
