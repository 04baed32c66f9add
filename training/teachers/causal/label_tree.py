"""The labels as a tree of tokens, so that one pass over a shared prefix scores them all.

Labels that start alike share nodes, and the prompt's keys and values are computed once, so C
labels cost one prompt and one short pass instead of C prompts. An end token follows every label:
without it a label that is another's prefix would always be the likelier.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

ROOT = -1  # the prompt's last token


@dataclass(frozen=True, slots=True)
class LabelTree:
    """K nodes, parents before children.

    Shapes:
        tokens: int64 [K], the token that a node feeds
        depths: int64 [K], 0 for children of the root
        ancestors: bool [K, K]; row i is true at i and at every node above it
        paths: a label's (node that predicts, token predicted) pairs, the end token last
    """

    tokens: Tensor
    depths: Tensor
    ancestors: Tensor
    paths: tuple[tuple[tuple[int, int], ...], ...]

    def scores(self, first: Tensor, rest: Tensor) -> Tensor:
        """The log-likelihood of every label, float32 [B, C], from next-token log-probabilities.

        Shapes:
            first: float [B, V], after the prompt
            rest: float [B, K, V], after each node
        """
        labels = []
        for path in self.paths:
            terms = [
                first[:, token] if node == ROOT else rest[:, node, token] for node, token in path
            ]
            labels.append(torch.stack(terms).sum(0))
        return torch.stack(labels, dim=1)


def label_tree(labels: Sequence[Sequence[int]], end: int) -> LabelTree:
    """Builds the tree of the labels' token ids; each label has at least one token."""
    children: dict[tuple[int, int], int] = {}  # (parent, token) → node
    parents: list[int] = []
    tokens: list[int] = []
    paths = []
    for label in labels:
        node, path = ROOT, []
        for token in label:
            path.append((node, token))
            if (node, token) not in children:
                children[node, token] = len(tokens)
                parents.append(node)
                tokens.append(token)
            node = children[node, token]
        paths.append((*path, (node, end)))
    ancestors = torch.eye(len(tokens), dtype=torch.bool)
    depths = torch.zeros(len(tokens), dtype=torch.long)
    for node, parent in enumerate(parents):
        if parent != ROOT:
            ancestors[node] |= ancestors[parent]
            depths[node] = depths[parent] + 1
    return LabelTree(torch.tensor(tokens), depths, ancestors, tuple(paths))
