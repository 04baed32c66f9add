"""Explains an answer: leaves out each neighbour and each word, and recomputes exactly.

Leaving a neighbour out removes its messages into this node in every layer and nothing else: the
neighbour's own activations stay as stored. So the result without a neighbour equals the result for
an unseen node with the same text and the other neighbours. A word is left out wherever the text has
it. Method: erasure of one input at a time and the change of the label's log-odds, as in Li et al.,
arXiv 1612.08220, equation 1 (which uses log-likelihoods).
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

import numpy as np
from msgspec import Meta, Struct
from numpy.typing import NDArray

from understudy.bundle import EncoderInfo
from understudy.engine.arguments import NODES, listed
from understudy.engine.limits import Limits
from understudy.engine.requests import (
    SCORE_DECIMALS,
    QueryNode,
    Resolution,
    UnseenNode,
    joined_logits,
    probabilities,
)
from understudy.engine.state import GraphState

if TYPE_CHECKING:
    from understudy.engine.engine import Engine

# Leaving out a part sums all messages of a hub again. This bounds the messages per node and kind of
# part, so that a request for hubs stays a matter of a few batches.
MESSAGES = 2**17

LogOdds = Annotated[
    float,
    Meta(
        description="Decrease of the label's log-odds without it; positive: it supports the label."
    ),
]
OtherLabel = Annotated[str, Meta(description="The most probable label without it.")]
OwnScore = Annotated[float, Meta(description="Probability of the explained label without it.")]


class NeighborInfluence(Struct, frozen=True):
    """A neighbor's contribution: the answer without its messages into this node."""

    id: str
    log_odds: LogOdds
    label: OtherLabel
    score: OwnScore


class WordInfluence(Struct, frozen=True):
    """A word's contribution: the answer to the text without it."""

    word: Annotated[str, Meta(description="Word in lower case; it is left out wherever it occurs.")]
    log_odds: LogOdds
    label: OtherLabel
    score: OwnScore


class Explanation(Struct, frozen=True):
    """What an answer rests on; each list starts with what supports the label most."""

    label: Annotated[str, Meta(description="The explained label: the student's answer.")]
    log_odds: Annotated[float, Meta(description="Probability of the label with nothing left out.")]
    neighbors: tuple[NeighborInfluence, ...]
    untried_neighbors: Annotated[
        int,
        Meta(
            description="Number of neighbors beyond the limit; those with the most links come "
            "first."
        ),
    ]
    words: Annotated[
        tuple[WordInfluence, ...] | None,
        Meta(description="Words of the text; null if a transformer encodes it."),
    ]
    untried_words: Annotated[int, Meta(description="Number of words beyond the limit.")]


@dataclass(frozen=True, slots=True)
class Omission:
    """A node, and the parts that are left out of it one at a time.

    Shapes:
        links: int64 [K], rows of the neighbours
    """

    node: UnseenNode
    links: NDArray[np.int64]
    words: list[str] | None
    pieces: list[str]  # words of the text as the encoder reads it
    untried_words: int

    def variants(self) -> list[UnseenNode]:
        """Makes the node without each of the links, then without each of the words."""
        text, near = self.node.text, self.node.neighbors
        return [
            *(UnseenNode(text, near[near != row]) for row in self.links.tolist()),
            *(UnseenNode(without(self.pieces, word), near) for word in self.words or ()),
        ]


def without(pieces: Sequence[str], word: str) -> str:
    return " ".join(piece for piece in pieces if piece.lower() != word)


def omissions(resolution: Resolution, limits: Limits, encoder: EncoderInfo) -> list[Omission]:
    """Chooses what to leave out of the nodes at `resolution.positions`, in that order."""
    graph = resolution.state.graph
    stored = [
        UnseenNode(graph.text(row), graph.neighbors(row).astype(np.int64))
        for row in resolution.stored_rows
    ]
    return [
        omission_of(resolution.state, node, limits, encoder)
        for node in (*stored, *resolution.unseen)
    ]


def omission_of(
    state: GraphState, node: UnseenNode, limits: Limits, encoder: EncoderInfo
) -> Omission:
    degrees = state.graph.degrees(node.neighbors)
    room = max(1, MESSAGES // max(len(degrees), 1))
    most = min(limits.explained_neighbors, room)
    links = node.neighbors[np.argsort(-degrees, kind="stable")[:most]]
    if encoder.kind != "hashing":
        return Omission(node, links, None, [], 0)
    pieces = node.text[: encoder.max_characters].split()
    words = list(dict.fromkeys(piece.lower() for piece in pieces))
    tried = words[: min(limits.explained_words, room)]
    return Omission(node, links, tried, pieces, len(words) - len(tried))


def log_odds(logits: NDArray[np.float32], label: int, temperature: float) -> NDArray[np.float64]:
    """Computes the calibrated log-odds of one label; float64 [B], of logits [B, classes].

    They are 0 if there is no other label.
    """
    scaled = logits.astype(np.float64) / temperature
    others = np.delete(scaled, label, axis=1)
    if others.shape[1] == 0:
        return np.zeros(len(logits))
    return np.asarray(scaled[:, label] - np.logaddexp.reduce(others, axis=1))


def explanation(
    omission: Omission,
    state: GraphState,
    whole: NDArray[np.float32],
    lacking: NDArray[np.float32],
    temperature: float,
    label_names: Sequence[str],
) -> Explanation:
    """Compares a node's answer with the answers without each part.

    Shapes:
        whole: float32 [classes], the node's logits
        lacking: float32 [K, classes], logits of `omission.variants()`, in that order
    """
    label = int(whole.argmax())
    own = float(log_odds(whole[None], label, temperature)[0])
    falls = np.round(own - log_odds(lacking, label, temperature), SCORE_DECIMALS).tolist()
    scores = probabilities(lacking, temperature)[:, label].astype(np.float64)
    names = [label_names[best] for best in lacking.argmax(axis=1).tolist()]
    found = list(zip(falls, names, scores.round(SCORE_DECIMALS).tolist(), strict=True))
    links, words = omission.links.tolist(), omission.words
    near = [
        NeighborInfluence(state.graph.id(row), *each)
        for row, each in zip(links, found[: len(links)], strict=True)
    ]
    influences = [
        WordInfluence(word, *each)
        for word, each in zip(words or (), found[len(links) :], strict=True)
    ]
    return Explanation(
        label_names[label],
        round(own, SCORE_DECIMALS),
        tuple(sorted(near, key=lambda influence: -influence.log_odds)),
        len(omission.node.neighbors) - len(links),
        None if words is None else tuple(sorted(influences, key=lambda i: -i.log_odds)),
        omission.untried_words,
    )


def explanations(
    engine: "Engine",
    state: GraphState,
    left_out: Sequence[Omission],
    whole: NDArray[np.float32],
    lacking: NDArray[np.float32],
) -> list[Explanation]:
    """Makes one explanation per node, from the concatenated logits of all their variants.

    Shapes:
        whole: float32 [B, classes]
        lacking: float32 [K, classes]
    """
    result, start = [], 0
    for omission, logits in zip(left_out, whole, strict=True):
        end = start + len(omission.links) + len(omission.words or ())
        result.append(
            explanation(
                omission,
                state,
                logits,
                lacking[start:end],
                engine.manifest.calibration.temperature,
                engine.manifest.label_names,
            )
        )
        start = end
    return result


def explain(engine: "Engine", nodes: Sequence[QueryNode]) -> list[Explanation]:
    """Explains the student's answers for stored and unseen nodes, in the nodes' order.

    Raises:
        InvalidArgumentError: an argument has the wrong type; the message names it.
        NodeError: the error of the first invalid node.
        InferenceError: the networks gave no usable answer.
    """
    nodes = listed("nodes", nodes, NODES)
    resolution = engine.resolve(nodes)
    for error in resolution.errors.values():
        raise error
    state = resolution.state
    left_out = omissions(resolution, engine.limits, engine.manifest.encoder)
    whole = joined_logits(resolution, engine.infer(resolution) if resolution.unseen else None)
    variants = [variant for omission in left_out for variant in omission.variants()]
    lacking = np.empty((0, whole.shape[1]), np.float32)
    if variants:
        lacking = engine.infer(Resolution(state, unseen=variants)).logits
    found = explanations(engine, state, left_out, whole, lacking)
    by_position = dict(zip(resolution.positions, found, strict=True))
    return [by_position[position] for position in range(len(nodes))]
