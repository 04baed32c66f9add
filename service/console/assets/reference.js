// The service's own OpenAPI document as a page: routes by their kind, what they take, give and refuse.

import { ask, Refusal } from "./api.js";
import { byId, make } from "./dom.js";

const JSON_KIND = "application/json";
const METHODS = ["get", "post", "put", "delete", "patch"];

function schemaName(reference) {
  return reference.split("/").at(-1);
}

/** A schema in a few words, with links to those that have a name. */
function typeOf(schema) {
  if (!schema) return ["anything"];
  if (schema.$ref) return [make("a", { href: `#schema-${schemaName(schema.$ref)}` }, schemaName(schema.$ref))];
  if (schema.enum) return [schema.enum.map((value) => JSON.stringify(value)).join(" or ")];
  if (schema.anyOf) return schema.anyOf.flatMap((part, place) => [...(place ? [" or "] : []), ...typeOf(part)]);
  if (schema.type === "array") return ["list of ", ...typeOf(schema.items)];
  if (schema.additionalProperties?.type || schema.additionalProperties?.$ref) return ["object of ", ...typeOf(schema.additionalProperties)];
  return [schema.type ?? "anything"];
}

const BOUNDS = { minimum: "at least #", maximum: "at most #", minLength: "at least # characters", maxLength: "at most # characters", minItems: "at least # entries", maxItems: "at most # entries" };

/** A field's meaning and constraints. */
function remarks({ description, default: initial, ...schema }, place = null) {
  const bounds = Object.entries(BOUNDS).filter(([name]) => schema[name] !== undefined).map(([name, words]) => words.replace("#", schema[name].toLocaleString("en")));
  if (initial !== undefined && initial !== null && initial !== "" && !Array.isArray(initial)) bounds.push(`${JSON.stringify(initial)} by default`);
  if (place !== null) bounds.push(`in the ${place}`);
  return [...marked(description ?? ""), bounds.length ? make("span", { class: "quiet" }, ` ${bounds.join("; ")}`) : ""];
}

/** Words with what stands between backticks as code. */
function marked(words) {
  return words.split(/`([^`]+)`/).map((part, place) => (place % 2 ? make("code", {}, part) : part));
}

function table(title, rows) {
  if (rows.length === 0) return [];
  return [make("h4", {}, title), make("div", { class: "scroll", tabindex: "0", role: "group", "aria-label": title }, make("table", {},
    make("thead", {}, make("tr", {}, ["Name", "Type", "Meaning"].map((words) => make("th", { scope: "col" }, words)))),
    make("tbody", {}, rows)))];
}

function row(name, required, schema, description) {
  return make("tr", {}, make("th", { scope: "row" }, make("code", {}, name), required ? " *" : ""), make("td", { class: "kind" }, ...typeOf(schema)),
    make("td", {}, ...description));
}

function fieldsOf(schema, required = schema.required ?? []) {
  return Object.entries(schema.properties ?? {}).map(([name, field]) => row(name, required.includes(name), field, remarks(field)));
}

function example(title, content) {
  const shown = content?.[JSON_KIND]?.example;
  if (shown === undefined) return [];
  return [make("h4", {}, title), make("pre", { tabindex: "0" }, JSON.stringify(shown, null, 2))];
}

function paragraphs(text) {
  return (text ?? "").split(/\n\s*\n/).filter(Boolean).map((part) => make("p", {}, ...marked(part)));
}

/** A command that asks the route as its example does. */
function command(method, path, operation) {
  const values = Object.fromEntries((operation.parameters ?? []).map((parameter) => [parameter.name, parameter]));
  const sent = path.replace(/{(\w+)}/g, (whole, name) => encodeURIComponent(values[name]?.example ?? name));
  const query = (operation.parameters ?? []).filter((parameter) => parameter.in === "query" && parameter.example).map(({ name, example: value }) => `${name}=${encodeURIComponent(value)}`);
  const base = location.href.replace(/docs([?#].*)?$/, "").replace(/\/$/, "");
  const body = operation.requestBody?.content?.[JSON_KIND]?.example;
  const quoted = (words) => `'${words.replaceAll("'", "'\\''")}'`;
  return [`curl -s${method === "get" || method === "post" ? "" : ` -X ${method.toUpperCase()}`} ${quoted(`${base}${sent}${query.length ? `?${query.join("&")}` : ""}`)}`,
    operation.security ? ' -H "authorization: Bearer $KEY"' : "", body === undefined ? (method === "post" ? " -X POST" : "") : ` --json ${quoted(JSON.stringify(body))}`].join("");
}

function article(method, path, operation, schemas, keys) {
  const body = operation.requestBody?.content?.[JSON_KIND]?.schema;
  const answer = operation.responses["200"]?.content?.[JSON_KIND]?.schema;
  const parameters = (operation.parameters ?? []).map((parameter) => row(parameter.name, parameter.required, parameter.schema, remarks({ ...parameter.schema, description: parameter.description }, parameter.in)));
  const refusals = Object.entries(operation.responses).filter(([status]) => status !== "200").map(([status, refusal]) => make("tr", {}, make("th", { scope: "row" }, status), make("td", {}, refusal.description)));
  const fields = (schema) => (schema?.$ref ? fieldsOf(schemas[schemaName(schema.$ref)]) : []);
  return make("article", { id: `route-${operation.operationId}` },
    make("h3", {}, make("span", { class: `method ${method}` }, method.toUpperCase()), make("code", {}, path)),
    make("p", {}, make("strong", {}, operation.summary)), ...paragraphs(operation.description),
    ...table("Parameters", parameters), ...table("Body", fields(body)),
    make("h4", {}, "Example call"), make("pre", { tabindex: "0" }, command(method, path, keys ? operation : { ...operation, security: null })),
    ...example("Body, for example", operation.requestBody?.content),
    ...table("Answer", fields(answer)), ...example("Answer, for example", operation.responses["200"]?.content),
    make("details", {}, make("summary", {}, `Refusals: ${refusals.length}`), make("table", {}, make("tbody", {}, refusals))));
}

function show(book) {
  const places = new Map(); // kind → [[method, path, operation]]
  for (const [path, item] of Object.entries(book.paths)) {
    for (const method of METHODS.filter((name) => item[name])) {
      const [kind] = item[method].tags ?? ["other"];
      places.set(kind, [...(places.get(kind) ?? []), [method, path, item[method]]]);
    }
  }
  const { schemas } = book.components;
  const keys = sessionStorage.getItem("understudy-key") !== null;
  byId("routes").replaceChildren(make("h1", {}, book.info.title), ...paragraphs(book.info.description));
  for (const [kind, routes] of places) {
    byId("contents").append(make("h2", {}, kind), ...routes.map(([method, path, { operationId }]) => make("a", { href: `#route-${operationId}` }, `${method.toUpperCase()} ${path}`)));
    byId("routes").append(make("h2", { class: "group" }, kind), ...routes.map((route) => article(...route, schemas, keys)));
  }
  byId("routes").append(make("h2", { class: "group" }, "Schemas"), ...Object.entries(schemas).map(([name, schema]) =>
    make("article", { id: `schema-${name}` }, make("h3", {}, name), ...paragraphs(schema.description), ...table(`Fields of ${name}`, fieldsOf(schema)))));
  if (location.hash) byId(decodeURIComponent(location.hash.slice(1)))?.scrollIntoView();
}

ask("GET", "openapi.json").then(show).catch((error) => {
  byId("routes").append(make("p", { class: "bad" }, error instanceof Refusal ? error.message : `The page failed: ${error.message}`));
  if (!(error instanceof Refusal)) console.error(error);
  document.body.dataset.ready = "";
}).then(() => { document.body.dataset.ready = ""; });
