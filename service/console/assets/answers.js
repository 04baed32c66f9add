// Shows an answer: labels with bars, its explanation, and the teacher's answer.

import { compare, Refusal } from "./api.js";
import { make, milliseconds, percent } from "./dom.js";

/** The labels of a prediction with their calibrated probabilities. */
export function bars(prediction, hue) {
  if (prediction.error) return make("p", { class: "bad" }, prediction.error.message);
  return make(
    "ol",
    { class: "bars" },
    prediction.top.map(({ label, score }) => {
      const bar = make("span", { class: `bar ${hue(label)}`, "aria-hidden": "true" });
      bar.style.setProperty("--share", score ?? 0);
      return make("li", {}, make("span", { class: "label" }, label), bar, make("span", { class: "score" }, percent(score)));
    }),
  );
}

const REASONS = 7; // of either kind

/** The explanation, if the service gave one: each neighbour and word with its log-odds. */
export function explanation(prediction, choose) {
  const reason = prediction?.explanation;
  if (!reason) return null;
  const words = reason.words?.map((entry) => ({ ...entry, named: make("code", {}, entry.word) }));
  const neighbors = reason.neighbors.map((entry) => ({
    ...entry,
    named: make("button", { type: "button", class: "link", title: entry.id, onclick: () => choose(entry.id) }, entry.id),
  }));
  const largest = Math.max(...[...neighbors, ...(words ?? [])].map(weight), 1e-9);
  return make(
    "section",
    { class: "explanation", "aria-label": "Why" },
    make("h2", {}, "Why ", make("em", {}, reason.label)),
    make("p", { class: "quiet" }, "How far its log-odds fall without each of them."),
    reasons("Neighbours", neighbors, largest),
    words ? reasons("Words", words, largest) : null,
  );
}

const weight = (entry) => Math.abs(entry.log_odds);

function reasons(title, entries, largest) {
  if (entries.length === 0) return null;
  const shown = [...entries].sort((a, b) => weight(b) - weight(a)).slice(0, REASONS);
  shown.sort((a, b) => b.log_odds - a.log_odds);
  return make("div", {}, make("h3", {}, title), make("ul", { class: "bars" }, shown.map((entry) => {
    const bar = make("span", { class: `bar ${entry.log_odds < 0 ? "against" : "for"}`, "aria-hidden": "true" });
    bar.style.setProperty("--share", weight(entry) / largest);
    const signed = `${entry.log_odds < 0 ? "−" : "+"}${weight(entry).toFixed(3)}`;
    return make("li", {}, make("span", { class: "label" }, entry.named), bar, make("span", { class: "score" }, signed));
  })));
}

/** A section that asks student and teacher about one node, on demand. */
export function comparison(service, node, hue) {
  const result = make("div", { "aria-live": "polite" });
  const section = make("section", { class: "teacher", "aria-label": "The teacher's opinion" }, make("h2", {}, "The teacher's opinion"));
  if (!service.teacher) {
    section.append(make("p", { class: "quiet" }, "No teacher is configured. Started with ",
      make("code", {}, "--teacher-url"), ", the service asks one here, and shows what it costs."));
    return section;
  }
  const button = make("button", { type: "button", onclick: async () => {
    button.disabled = true;
    result.replaceChildren(make("p", { class: "quiet" }, "Waiting for the teacher …"));
    try {
      const { comparisons } = await compare([node()], 3);
      result.replaceChildren(sideBySide(comparisons[0], hue));
    } catch (error) {
      if (!(error instanceof Refusal)) throw error;
      result.replaceChildren(make("p", { class: "bad" }, error.message));
    }
    button.disabled = false;
  } }, "Ask the teacher");
  section.append(button, result);
  return section;
}

function sideBySide(compared, hue) {
  const verdict = compared.agree === null ? "No verdict" : compared.agree ? "They agree" : "They differ";
  return make("div", {},
    make("p", { class: `verdict ${compared.agree ? "good" : "warn"}` }, verdict, faster(compared), "."),
    make("div", { class: "two" },
      opinion("Student", compared.student, compared.student_ms, compared.student_cost, hue),
      opinion("Teacher", compared.teacher, compared.teacher_ms, compared.teacher_cost, hue)),
    compared.auto ? make("p", { class: "quiet" }, `The route auto takes the ${compared.auto}'s answer.`) : null);
}

/** How much faster the student was, unless the teacher's answer was cached. */
function faster({ teacher, teacher_ms: taught, student_ms: own }) {
  if (teacher.cached || !taught || !own || taught < 2 * own) return "";
  return `, and the student is ${Math.round(taught / own).toLocaleString("en")} times faster`;
}

function opinion(who, prediction, took, cost, hue) {
  const costs = prediction.cached ? ["from the cache, at no cost"] : [
    cost.processor_ms === 0 ? "a look-up" : null,
    cost.processor_ms ? `${milliseconds(cost.processor_ms)} of computing` : null,
    cost.input_tokens !== null ? `${cost.input_tokens} tokens read` : null,
    cost.output_tokens !== null ? `${cost.output_tokens} written` : null,
    cost.money !== null ? `costs ${cost.money.toPrecision(2)}` : null,
  ].filter(Boolean);
  return make("div", { class: "opinion" },
    make("h3", {}, who),
    prediction.error
      ? make("p", { class: "bad" }, prediction.error.message)
      : make("p", { class: "answer" }, make("span", { class: `dot ${hue(prediction.label)}` }), prediction.label, " ",
        prediction.score === null ? null : make("small", {}, percent(prediction.score))),
    make("p", {}, milliseconds(took)),
    make("p", { class: "quiet" }, costs.join(", ")));
}
