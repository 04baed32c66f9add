// Assembles the page: search, drawing, panels, figures, and the address of the current view.

import * as api from "./api.js";
import { combobox } from "./combobox.js";
import { byId, make, say } from "./dom.js";
import { EdgesPanel } from "./edges.js";
import { Figures } from "./figures.js";
import { InventPanel } from "./invent.js";
import { Neighborhood } from "./neighborhood.js";
import { NodePanel } from "./node.js";
import { tabs } from "./tabs.js";

const CANDIDATES = 60; // nodes from which the first one to show is chosen
const IDEAL_DEGREE = 14;

async function begin() {
  const panels = {};
  const showTab = tabs(["node", "invent", "edges"]);
  const neighborhood = new Neighborhood({
    selected: async (id) => {
      setAddress(id);
      panels.edges?.follow(id);
      try {
        await panels.node?.show(id);
      } catch (error) {
        say(error.message, true);
      }
    },
    invented: () => showTab("invent"),
    answered: (id) => {
      panels.edges?.linked();
      panels.node?.renew(id).catch((error) => say(error.message, true));
    },
  });
  const query = combobox("query", "Search nodes", {
    placeholder: "Search: an id, or words of a text", hidden: true, keeps: true,
    choose: ({ id }) => start(id), hue: (label) => neighborhood.colors.hue(label),
  });
  byId("search").append(...query.parts);
  byId("search").addEventListener("submit", (event) => event.preventDefault());

  async function start(id) {
    try {
      await neighborhood.start(id);
      if (byId("invent").hidden && byId("edges").hidden) showTab("node");
    } catch (error) {
      showTab("node");
      byId("node").replaceChildren(make("p", { class: "bad", role: "alert" }, error.message), make("p", {}, "Search for another node."));
    }
  }

  const service = await api.info();
  byId("model").textContent = service.model;
  document.title = `${service.model} · Understudy`;
  neighborhood.most = Math.min(neighborhood.most, service.limits.nodes);
  panels.node = new NodePanel(neighborhood, service);
  panels.invent = new InventPanel(neighborhood, service);
  panels.edges = new EdgesPanel(neighborhood);
  addEventListener("popstate", () => start(nodeInAddress() ?? neighborhood.selected));
  addEventListener("keydown", (event) => {
    const typing = event.target.closest("input, textarea, dialog");
    if (event.key === "/" && !typing && !event.ctrlKey && !event.metaKey) {
      event.preventDefault();
      query.input.focus();
    }
  });
  for (const button of byId("tools").children) {
    button.addEventListener("click", () => {
      const { tool } = button.dataset;
      if (tool === "fit") neighborhood.drawing.fit();
      else neighborhood.drawing.zoom(tool === "in" ? 1.25 : 0.8);
    });
  }
  const first = nodeInAddress() ?? (await firstNode());
  if (first === null) byId("node").replaceChildren(make("p", { class: "quiet" }, "No node is stored."));
  else await start(first);
  new Figures((version) => panels.edges.notice(version));
  document.body.dataset.ready = "";
}

/** The node that the page's address names. */
function nodeInAddress() {
  return new URLSearchParams(location.search).get("node");
}

function setAddress(id) {
  if (nodeInAddress() === id) return;
  const address = `?${new URLSearchParams({ node: id })}`;
  if (nodeInAddress() === null) history.replaceState(null, "", address);
  else history.pushState(null, "", address);
}

/** A node with some neighbours to begin with, or null. */
async function firstNode() {
  const { nodes } = await api.firstNodes(CANDIDATES);
  const distance = ({ degree }) => Math.abs(degree - IDEAL_DEGREE);
  return nodes.sort((a, b) => distance(a) - distance(b))[0]?.id ?? null;
}

begin().catch((error) => {
  const words = error instanceof api.Refusal ? error.message : `The page failed: ${error.message}`;
  byId("node").replaceChildren(
    make("p", { class: "bad" }, words),
    make("button", { type: "button", onclick: () => location.reload() }, "Try again"),
  );
  if (!(error instanceof api.Refusal)) console.error(error);
});
