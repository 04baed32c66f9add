"""The prompts that ask a language model about a node and its neighbourhood.

Hop 0 shows the node alone, hop l also its 1- to l-hop neighbours (LinguGKD, arXiv 2402.05894,
section 3.2). Training and service must use identical prompts, so this module holds the wording,
the truncation and the choice of neighbours, and `prompt_hash` covers them. Budgets are in tokens
of four characters, because the service does not have the teacher's tokenizer.

A prompt shows only labels from `ShownLabels`, which are labels of training nodes. They stand in
square brackets, and square brackets are removed from all texts, so a text cannot forge a label.
"""

import hashlib
import json
import re
import zlib
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from understudy.graph.text_graph import UNLABELED, TextGraph

WORDING = 2  # increase it when a word below changes
CHARACTERS_PER_TOKEN = 4  # of English text, in byte-pair and word-piece vocabularies
INSTRUCTION = (
    "You sort the items of a linked collection into categories. Read the item, and the items "
    "linked to it where they are listed, then name its category and nothing else.\n"
    "Categories: {labels}"
)
DESCRIBED = "- {label}: {description}"  # follows the categories, for each label with a description
QUESTION = "Which category should this node be classified as?"
HEAD = "### Instruction:\n{instruction}\n\n### Input:\n"
TAIL = "\n{question}\n\n### Response:\n"
LINKS = ("Linked items", "Items two links away", "Items three links away")
FARTHER = "Items {hop} links away"
LABELED = "- {title} [{label}]"
UNLABELED_LINE = "- {title}"
RING_SHARE = 0.6  # fraction of the remaining room that one ring of a nested description gets
LEAST_EXCERPT = 40  # characters; a shorter excerpt of a neighbour's text is not useful

# Characters removed from texts. The full-width and vertical brackets are those that compatibility
# normalisation, which some tokenizers apply, turns into square brackets.
ROUND = {"[": "(", "]": ")", "\uff3b": "(", "\uff3d": ")", "\ufe47": "(", "\ufe48": ")"}
CONTROLS = (  # control characters: invisible to people but not to tokenizers, or reversing the text
    "\x00-\x08\x0e-\x1b\x7f-\x84\x86-\x9f"
    "\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f\U000e0100-\U000e01ef"
)
HALF_CHARACTERS = "\ud800-\udfff"  # unpaired surrogates, which no encoding accepts
UNWANTED = re.compile(f"[{re.escape(''.join(ROUND))}{CONTROLS}{HALF_CHARACTERS}]")


@dataclass(frozen=True, slots=True)
class PromptOptions:
    """The settings of a description, besides the graph."""

    tokens: int = 160  # budget of a whole description, four characters each
    own_share: float = 0.5  # of the tokens, for the node's own text if neighbours are shown
    neighbors: int = 10  # maximum number shown per hop
    branching: int = 3  # maximum number of neighbours that a shown neighbour adds to the next hop
    title_characters: int = 80  # length of a neighbour's title
    show_labels: bool = True  # whether to show neighbours' training labels
    nested: bool = False  # a hop's description extends that of the hop before by one ring
    seed: int = 0  # seeds the choice of neighbours
    label_descriptions: tuple[tuple[str, str], ...] = ()  # (label, a line about it)

    def __post_init__(self) -> None:
        pairs = tuple((label, text) for label, text in self.label_descriptions)
        object.__setattr__(self, "label_descriptions", pairs)  # JSON turns tuples into lists


class TextSource(Protocol):
    """The part of a graph that descriptions read; the service's graph implements it too."""

    def text(self, node: int) -> str: ...

    def neighbors(self, node: int) -> NDArray[np.integer]: ...


class ShownLabels(Protocol):
    """Maps a node to the label that may be shown, an index into the label names, or -1.

    Either the array from `training_labels`, or the equivalent for a graph that changes.
    """

    def __getitem__(self, node: int, /) -> int: ...


@dataclass(frozen=True)
class StoredTexts:
    """A `TextGraph` as a `TextSource`."""

    graph: TextGraph

    def text(self, node: int) -> str:
        return str(self.graph.texts[node].as_py())

    def neighbors(self, node: int) -> NDArray[np.integer]:
        return self.graph.adjacency.neighbors(node)


def training_labels(graph: TextGraph) -> NDArray[np.int64]:
    """int64 [N]: the labels of training nodes; -1 for every other node, labelled or not."""
    shown = np.full(graph.num_nodes, UNLABELED, dtype=np.int64)
    train = graph.splits.get("train", np.empty(0, np.int64))
    shown[train] = graph.labels[train]
    return shown


@dataclass(frozen=True, slots=True)
class Prompt:
    """One question; all prompts of a graph share the instruction."""

    instruction: str
    description: str

    @property
    def head(self) -> str:
        return HEAD.format(instruction=self.instruction)

    @property
    def tail(self) -> str:
        return TAIL.format(question=QUESTION)

    @property
    def text(self) -> str:
        return f"{self.head}{self.description}{self.tail}"


@dataclass(frozen=True, slots=True)
class Prompter:
    """Writes prompts.

    Shapes:
        hidden: bool [N], nodes whose label is hidden even if `shown` has it; None hides none
    """

    source: TextSource
    label_names: tuple[str, ...]
    shown: ShownLabels
    options: PromptOptions
    hidden: NDArray[np.bool_] | None = None

    @property
    def instruction(self) -> str:
        first = INSTRUCTION.format(labels="; ".join(self.label_names))
        described = self.options.label_descriptions
        lines = [DESCRIBED.format(label=label, description=text) for label, text in described]
        return "\n".join([first, *lines])

    def hiding(self, hidden: NDArray[np.bool_]) -> "Prompter":
        """Returns a prompter that hides the labels of some nodes (bool [N])."""
        return replace(self, hidden=hidden)

    def stored(self, node: int, hop: int) -> Prompt:
        """The prompt for a node of the graph; it never contains the node's own label."""
        near = self.source.neighbors(node).astype(np.int64)
        return self.write(self.source.text(node), near, hop, node, node)

    def unseen(self, text: str, neighbors: Sequence[int], hop: int) -> Prompt:
        """The prompt for a node that is not stored, from its text and its stored neighbours."""
        near = np.array(neighbors, dtype=np.int64)
        return self.write(text, near, hop, -1, zlib.crc32(text.encode(errors="replace")))

    def write(self, text: str, near: NDArray[np.int64], hop: int, node: int, key: int) -> Prompt:
        """Writes a prompt; `key` seeds the choice of neighbours, `node` is never among them."""
        characters = self.options.tokens * CHARACTERS_PER_TOKEN
        if len(near) == 0 or (hop == 0 and not self.options.nested):
            return Prompt(self.instruction, cut(text, characters))
        own = cut(text, int(characters * self.options.own_share))
        if hop == 0:
            return Prompt(self.instruction, own)
        lines = [own, f"It has {len(near)} linked item{'s' if len(near) > 1 else ''}."]
        room = characters - sum(len(line) + 1 for line in lines)
        rings = self.rings(near, hop, node, key)
        if self.options.nested:
            return Prompt(self.instruction, "\n".join([*lines, *self.nested_rings(rings, room)]))
        titled = self.titles(rings, room)
        room -= sum(len(line) + 1 for _, line in titled)
        return Prompt(self.instruction, "\n".join([*lines, *self.excerpts(titled, room)]))

    def rings(
        self, near: NDArray[np.int64], hops: int, node: int, key: int
    ) -> list[NDArray[np.int64]]:
        """The neighbours to show, one array per hop; no node occurs twice."""
        ring = choose(near, self.options.neighbors, self.options.seed, key)
        rings, seen = [ring], {node, *near.tolist()}
        for _ in range(hops - 1):
            found: list[int] = []
            for member in rings[-1].tolist():
                own = self.source.neighbors(member).astype(np.int64)
                count = self.options.branching + len(seen)  # enough even if it holds all of `seen`
                drawn = choose(own, count, self.options.seed, member).tolist()
                fresh = [other for other in drawn if other not in seen]
                found += fresh[: self.options.branching]
                seen.update(fresh[: self.options.branching])
            rings.append(np.array(found[: self.options.neighbors], dtype=np.int64))
        return rings

    def titles(
        self, rings: list[NDArray[np.int64]], room: int, first: int = 1
    ) -> list[tuple[int, str]]:
        """(node, line) pairs, nearest first; each ring may use an equal share of the room.

        A ring's heading has node -1; `first` is the hop of the first ring.
        """
        result: list[tuple[int, str]] = []
        for hop, ring in enumerate(rings, start=first):
            name = LINKS[hop - 1] if hop <= len(LINKS) else FARTHER.format(hop=hop)
            lines = [(-1, f"{name}:")]
            share = room // (first + len(rings) - hop) - len(name) - 2
            for member in ring.tolist():
                line = self.title_line(member)
                if len(line) + 1 > share:
                    break
                share -= len(line) + 1
                lines.append((member, line))
            if len(lines) > 1:
                result += lines
                room -= sum(len(line) + 1 for _, line in lines)
        return result

    def nested_rings(self, rings: list[NDArray[np.int64]], room: int) -> list[str]:
        """The rings' lines; a ring's share of the room does not depend on how many rings follow."""
        lines: list[str] = []
        for hop, ring in enumerate(rings, start=1):
            share = int(room * RING_SHARE)
            titled = self.titles([ring], share, hop)
            share -= sum(len(line) + 1 for _, line in titled)
            found = self.excerpts(titled, share)
            lines += found
            room -= sum(len(line) + 1 for line in found)
        return lines

    def title_line(self, node: int) -> str:
        first, _ = title_and_body(self.source.text(node))
        title = cut(first, self.options.title_characters)
        label = self.label(node)
        if label == UNLABELED:
            return UNLABELED_LINE.format(title=title)
        return LABELED.format(title=title, label=self.label_names[label])

    def label(self, node: int) -> int:
        """The label to show of a node, or -1."""
        if not self.options.show_labels or (self.hidden is not None and self.hidden[node]):
            return UNLABELED
        return int(self.shown[node])

    def excerpts(self, titled: list[tuple[int, str]], room: int) -> list[str]:
        """The title lines, extended by the neighbours' further text as far as room remains."""
        members = [node for node, _ in titled if node >= 0]
        share = room // max(len(members), 1) - 3
        if share < LEAST_EXCERPT:
            return [line for _, line in titled]
        return [
            f"{line} | {rest}" if node >= 0 and (rest := cut(self.body(node), share)) else line
            for node, line in titled
        ]

    def body(self, node: int) -> str:
        return title_and_body(self.source.text(node))[1]


def graph_prompter(graph: TextGraph, options: PromptOptions) -> Prompter:
    """The prompter of a stored graph, which shows labels of training nodes only."""
    return Prompter(StoredTexts(graph), graph.label_names, training_labels(graph), options)


def prompt_settings(options: PromptOptions) -> dict[str, Any]:
    """The options as JSON for digests and descriptions; options without effect are left out."""
    value = asdict(options)
    if not options.label_descriptions:
        del value["label_descriptions"]
    return value


def prompt_hash(options: PromptOptions, label_names: Sequence[str]) -> str:
    """SHA-256 of everything that determines a prompt, besides the graph."""
    words = [WORDING, INSTRUCTION, QUESTION, HEAD, TAIL, LINKS, FARTHER, LEAST_EXCERPT, RING_SHARE]
    words += [LABELED, UNLABELED_LINE, UNWANTED.pattern]
    words += [DESCRIBED] if options.label_descriptions else []
    value = {"words": words, "options": prompt_settings(options), "labels": list(label_names)}
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()


def title_and_body(text: str) -> tuple[str, str]:
    """Splits a text into its first non-blank line and the rest."""
    title, _, body = text.lstrip().partition("\n")
    return title, body


def cut(text: str, characters: int) -> str:
    """The start of a text as one line, ending at a word boundary if that loses little.

    The result contains no label brackets, line breaks or control characters.
    """
    line = " ".join(tidy(text.lstrip()[: 2 * characters]).split())
    if len(line) <= characters:
        return line
    short = line[: max(characters, 0)]
    whole, _, rest = short.rpartition(" ")
    return whole if whole and len(rest) <= characters // 4 else short


def tidy(text: str) -> str:
    """Rounds square brackets, marks unpaired surrogates, and blanks control characters."""
    return UNWANTED.sub(lambda found: tidied(found.group()), text)


def tidied(character: str) -> str:
    if "\ud800" <= character <= "\udfff":
        return "\N{REPLACEMENT CHARACTER}"
    return ROUND.get(character, " ")


def choose(nodes: NDArray[np.int64], count: int, seed: int, key: int) -> NDArray[np.int64]:
    """At most `count` of the nodes, in an order drawn from the seed and the key.

    Each node's rank depends on that node alone, so an added neighbour does not reorder the others.
    """
    start = (seed * 0x9E3779B9 + key + 1) % 2**64
    salt = mix(np.array([start], dtype=np.uint64))
    return nodes[np.argsort(mix(nodes.astype(np.uint64) ^ salt), kind="stable")[:count]]


def mix(values: NDArray[np.uint64]) -> NDArray[np.uint64]:
    """A bijection of 64-bit integers that looks random (the finaliser of SplitMix64)."""
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
