// Calls the service's routes, like any other client.

import { make } from "./dom.js";

const KEY = "understudy-key"; // in the session's storage: gone with the tab

export class Refusal extends Error {
  constructor(status, error) {
    super(error.message);
    this.status = status;
    this.code = error.code;
    this.details = error.details ?? {};
  }
}

let asking = null; // the dialog's promise, for all requests that lack a key at once

/** Asks a person for a key; resolves to whether one was entered. */
function askForKey(refused) {
  asking ??= new Promise((resolve) => {
    const input = make("input", {
      id: "key", type: "password", autocomplete: "off", required: true, spellcheck: "false",
    });
    const dialog = make(
      "dialog",
      { id: "key-dialog", "aria-labelledby": "key-title" },
      make(
        "form",
        { method: "dialog" },
        make("h2", { id: "key-title" }, "This service needs a key"),
        make("p", {}, refused ? "That key is not known here." : "It is kept until this tab closes."),
        make("label", { for: "key" }, "Key"),
        input,
        make(
          "div",
          { class: "row end" },
          make("button", { type: "button", class: "plain", onclick: () => dialog.close() }, "Not now"),
          make("button", { type: "submit", value: "entered" }, "Use it"),
        ),
      ),
    );
    dialog.addEventListener("close", () => {
      const entered = dialog.returnValue === "entered" && input.value.trim() !== "";
      if (entered) sessionStorage.setItem(KEY, input.value.trim());
      dialog.remove();
      asking = null;
      resolve(entered);
    });
    document.body.append(dialog);
    dialog.showModal();
  });
  return asking;
}

async function send(method, path, body, signal) {
  const headers = {};
  const key = sessionStorage.getItem(KEY);
  if (key) headers.authorization = `Bearer ${key}`;
  if (body !== undefined) headers["content-type"] = "application/json";
  const content = body === undefined ? undefined : JSON.stringify(body);
  try {
    return await fetch(path, { method, headers, body: content, signal });
  } catch (error) {
    if (error.name === "AbortError") throw error;
    throw new Refusal(0, { code: "unreachable", message: "The service cannot be reached" });
  }
}

/** A successful answer: its JSON, and the milliseconds that the service reports. */
export async function exchange(method, path, body, signal) {
  const sentWith = sessionStorage.getItem(KEY);
  let response = await send(method, path, body, signal);
  if (response.status === 401) {
    const renewed = sessionStorage.getItem(KEY) !== sentWith;
    if (renewed || (await askForKey(sentWith !== null))) {
      return exchange(method, path, body, signal);
    }
  }
  if (!response.ok) {
    const refusal = await response.json().catch(() => null);
    throw new Refusal(response.status, refusal?.error ?? { message: `${response.status}`, code: "" });
  }
  const took = Number(response.headers.get("x-total-time"));
  const kind = response.headers.get("content-type") ?? "";
  const answer = kind.includes("json") ? await response.json() : await response.text();
  return { answer, took };
}

export async function ask(method, path, body, signal) {
  return (await exchange(method, path, body, signal)).answer;
}

const query = (values) => new URLSearchParams(values).toString();

export const info = () => ask("GET", "info");
export const metrics = () => ask("GET", "metrics");
/** A stored node; browsers resolve the ids "." and ".." in any path, so these are listed instead. */
export const node = async (id) => {
  if (id !== "." && id !== "..") return ask("GET", `nodes/${encodeURIComponent(id)}`);
  const before = `${id.slice(0, -1)}-\u{10ffff}`; // no id lies between
  const { nodes } = await ask("GET", `nodes?${query({ after: before, limit: 1 })}`);
  if (nodes[0]?.id === id) return nodes[0];
  throw new Refusal(404, { code: "unknown_node", message: `no stored node has the id '${id}'` });
};
export const firstNodes = (limit) => ask("GET", `nodes?${query({ limit })}`);
export const search = (q, limit, signal) =>
  ask("GET", `search?${query({ q, limit })}`, undefined, signal);
export const surroundings = (id, limit, beside) =>
  ask("POST", "surroundings", { id, limit, beside });
export const compare = (nodes, top_k) => ask("POST", "compare", { nodes, top_k });
export const addEdge = (source, target) => ask("POST", "edges", { source, target });
export const removeEdge = (source, target) => ask("DELETE", "edges", { source, target });

export const classify = (nodes, top_k, signal) => exchange("POST", "classify", { nodes, top_k }, signal);

/** The student's prediction of one node with its explanation; null if the service gives none. */
export async function explain(service, node) {
  if (!service.limits.explained_nodes) return null;
  const { predictions } = await ask("POST", "classify", { nodes: [node], explain: true });
  return predictions[0];
}
