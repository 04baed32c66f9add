// Rate, latency and agreement, from the metrics for Prometheus.

import { metrics } from "./api.js";
import { byId, draw, make, milliseconds } from "./dom.js";

const EVERY = 2000; // milliseconds
const KEPT = 45; // points of the line
const PREFIX = "understudy_";

/** Samples by their names: [{labels, value}]. */
export function parse(text) {
  const samples = new Map();
  for (const line of text.split("\n")) {
    const found = /^(\w+)(?:\{(.*)\})? (\S+)/.exec(line);
    if (!found) continue;
    const labels = Object.fromEntries([...(found[2] ?? "").matchAll(/(\w+)="([^"]*)"/g)].map((pair) => pair.slice(1)));
    const name = found[1].replace(PREFIX, "");
    samples.set(name, [...(samples.get(name) ?? []), { labels, value: Number(found[3]) }]);
  }
  return samples;
}

const PROBES = new Set(["live", "ready", "other"]); // operations that are not counted: probes, and what has no name

function isOfClients(labels) {
  return !PROBES.has(labels.operation);
}

const sum = (samples, kept = () => true) =>
  (samples ?? []).filter(({ labels }) => kept(labels)).reduce((total, { value }) => total + value, 0);

/** Median seconds of the requests between two readings. */
function median(now, before) {
  const name = "request_seconds_bucket";
  const counts = new Map();
  for (const [samples, sign] of [[now, 1], [before, -1]]) {
    for (const { labels, value } of samples.get(name) ?? []) {
      if (isOfClients(labels)) counts.set(labels.le, (counts.get(labels.le) ?? 0) + sign * value);
    }
  }
  const total = counts.get("+Inf") ?? 0;
  if (total <= 0) return null;
  const bounds = [...counts.keys()].filter((bound) => bound !== "+Inf").map(Number).sort((a, b) => a - b);
  const below = new Map([...counts].map(([bound, value]) => [Number(bound), value]));
  return bounds.find((bound) => below.get(bound) >= total / 2) ?? null;
}

export class Figures {
  /** `changed(version)` is called with the graph's version, each time. */
  constructor(changed) {
    this.changed = changed;
    this.readings = []; // {at, samples, rate, seconds}
    this.places = new Map();
    for (const [name, title] of [
      ["rate", "Answers a second"], ["latency", "Median latency"], ["answered", "Nodes answered"],
      ["agreement", "Agreement with the teacher"], ["graph", "Graph"],
    ]) {
      const value = make("dd", {}, "–");
      this.places.set(name, value);
      byId("figures").append(make("div", {}, make("dt", {}, title), value));
    }
    this.line = draw("polyline", { class: "line", points: "" });
    this.places.get("rate").parentElement.append(
      draw("svg", { class: "spark", viewBox: "0 0 90 24", "aria-hidden": "true", preserveAspectRatio: "none" }, this.line),
    );
    document.addEventListener("visibilitychange", () => this.read());
    this.read();
  }

  async read() {
    clearTimeout(this.timer);
    if (document.hidden) return; // nobody looks
    try {
      this.note(parse(await metrics()));
    } catch {
      this.set("rate", "unreachable");
    }
    this.timer = setTimeout(() => this.read(), EVERY);
  }

  note(samples) {
    const at = performance.now();
    const last = this.readings.at(-1);
    const requests = sum(samples.get("requests_total"), isOfClients);
    const reading = { at, samples, requests, rate: 0 };
    if (last) {
      const answers = Math.max(0, requests - last.requests);
      reading.rate = answers / ((at - last.at) / 1000);
      const seconds = median(samples, last.samples);
      if (answers > 0 && seconds !== null) this.set("latency", `≤ ${milliseconds(1000 * seconds)}`);
    }
    this.readings = [...this.readings, reading].slice(-KEPT);
    this.set("rate", reading.rate < 10 ? reading.rate.toFixed(1) : Math.round(reading.rate).toLocaleString("en"));
    const routes = (samples.get("predictions_total") ?? []).map(({ labels, value }) => `${value.toLocaleString("en")} ${labels.route}`);
    this.set("answered", routes.join(", ") || "none yet");
    this.agreement(samples.get("teacher_agreement_total") ?? []);
    const [nodes, edges, version] = ["graph_nodes", "graph_edges", "graph_version"].map((name) => sum(samples.get(name)));
    this.set("graph", `${nodes.toLocaleString("en")} nodes, ${edges.toLocaleString("en")} edges, version ${version}`);
    this.trace();
    this.changed(version);
  }

  agreement(samples) {
    const outcomes = (name) => sum(samples, ({ outcome }) => outcome === name);
    const [agreed, differed] = [outcomes("agree"), outcomes("differ")];
    const share = agreed + differed ? `${((100 * agreed) / (agreed + differed)).toFixed(1)} % of ${agreed + differed}` : null;
    const place = this.places.get("agreement");
    place.title = share ? "Of the answers that the teacher checked in the background" : "Measured where --shadow-share is set";
    this.set("agreement", share ?? "not measured");
  }

  trace() {
    const rates = this.readings.map(({ rate }) => rate);
    const most = Math.max(...rates, 1);
    this.line.setAttribute("points", rates.map((rate, place) => `${(90 * place) / (KEPT - 1)},${23 - (22 * rate) / most}`).join(" "));
  }

  set(name, words) {
    const place = this.places.get(name);
    if (place.textContent !== words) place.textContent = words;
  }
}
