"""Prompts about the nodes of a request, at its graph version."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from understudy.engine.requests import Resolution
from understudy.graph.mutable.view import GraphView
from understudy.graph.prompts import Prompt, Prompter, PromptOptions
from understudy.graph.text_graph import UNLABELED


@dataclass(frozen=True, slots=True)
class QuestionOptions:
    hops: int = 2  # neighbourhood depth of a prompt
    prompts: PromptOptions = field(default_factory=lambda: PromptOptions(tokens=380))


@dataclass(frozen=True, slots=True)
class StandingLabels:
    """The labels that prompts about a served graph may show: current labels of training nodes.

    A changed label is shown as it is now. An added node is in no split, so its label is not shown.
    """

    graph: GraphView
    labels: int  # number of the model's labels; a later label is not shown

    def __getitem__(self, row: int, /) -> int:
        train = self.graph.parts.base.splits.get("train", NO_ROWS)
        position = int(train.searchsorted(row))
        trained = position < len(train) and int(train[position]) == row
        if not trained:
            return UNLABELED
        label = self.graph.label(row)
        return label if label < self.labels else UNLABELED


NO_ROWS: NDArray[np.int64] = np.empty(0, np.int64)


@dataclass(frozen=True, slots=True)
class Questions:
    """Writes prompts; keeps no reference to a graph, so that old versions can be freed.

    Attributes:
        label_names: of the model; empty: the graph's. Where they have a position, the graph's label
            of that position is the same.
    """

    options: QuestionOptions
    label_names: tuple[str, ...] = ()

    def prompts(self, resolution: Resolution, wanted: Sequence[int]) -> dict[int, Prompt]:
        """Writes prompts of the wanted valid nodes, by position in the request."""
        graph, hops = resolution.state.graph, self.options.hops
        names = self.label_names or graph.label_names
        labels = StandingLabels(graph, len(names))
        prompter = Prompter(graph, names, labels, self.options.prompts)
        rows = dict(zip(resolution.stored_positions, resolution.stored_rows, strict=True))
        unseen = dict(zip(resolution.unseen_positions, resolution.unseen, strict=True))
        result = {}
        for position in wanted:
            if position in rows:
                result[position] = prompter.stored(rows[position], hops)
            elif position in unseen:
                node = unseen[position]
                result[position] = prompter.unseen(node.text, node.neighbors.tolist(), hops)
        return result
