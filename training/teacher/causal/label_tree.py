"""The labels as a tree of tokens, so that one pass over a shared prefix scores them all.

Labels with a common beginning share nodes, and the prompt's keys and values are computed once, so C
labels cost one prompt and one short pass instead of C prompts. A label that is a prefix of another
one is followed by an end token; without it, it would always be more likely. After any other label
the answer is complete, so nothing is predicted after it, and its last token is not even fed.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

ROOT = -1  # the prompt's last token
ROWS = 8  # of logits converted to float32 at a time, to stay in the CPU's cache


@dataclass(frozen=True, slots=True)
class LabelTree:
    """K nodes, parents before children.

    Shapes:
        tokens: int64 [K], the token that a node feeds
        depths: int64 [K], 0 for children of the root
        ancestors: bool [K, K]; row i is true at i and at every node above it
        paths: a label's (node that predicts, token predicted) pairs
    """

    tokens: Tensor
    depths: Tensor
    ancestors: Tensor
    paths: tuple[tuple[tuple[int, int], ...], ...]

    @property
    def responses(self) -> tuple[tuple[int, ...], ...]:
        """The tokens by which each label is scored."""
        return tuple(tuple(token for _, token in path) for path in self.paths)

    def likelihoods(self, logits: Tensor) -> Tensor:
        """The log-likelihood of every label, float32 [R, C].

        The needed logits of each node are gathered first and normalised by one number, which avoids
        storing the whole log-softmax.

        Shapes:
            logits: float [R, 1 + K, V], after the prompt and after each node
        """
        steps = [(node - ROOT, token) for path in self.paths for node, token in path]
        owners = [label for label, path in enumerate(self.paths) for _ in path]
        node, token = torch.tensor(steps, device=logits.device).T
        terms = logits[:, node, token].float() - log_normalizers(logits)[:, node]
        sums = terms.new_zeros(len(logits), len(self.paths))
        return sums.index_add_(1, torch.tensor(owners, device=logits.device), terms)


def log_normalizers(logits: Tensor) -> Tensor:
    """log Σ exp over the last dimension, float32, computed for a few rows at a time."""
    flat = logits.flatten(0, -2)
    parts = [rows.float().logsumexp(-1) for rows in flat.split(ROWS)]
    return torch.cat(parts).view(logits.shape[:-1])


def label_tree(labels: Sequence[Sequence[int]], end: int) -> LabelTree:
    """Builds the tree of the labels' token ids; each label has at least one token."""
    inner = {tuple(label[:size]) for label in labels for size in range(1, len(label))}
    nodes: dict[tuple[int, ...], int] = {(): ROOT}  # prefix → node
    parents: list[int] = []
    paths = []
    for label in labels:
        path = []
        for size, token in enumerate(label):
            prefix = tuple(label[:size])
            path.append((nodes[prefix], token))
            longer = (*prefix, token)
            if longer in inner and longer not in nodes:
                nodes[longer] = len(parents)
                parents.append(nodes[prefix])
        if tuple(label) in inner:
            path.append((nodes[tuple(label)], end))
        paths.append(tuple(path))
    tokens = [prefix[-1] for prefix in nodes if prefix]
    ancestors = torch.eye(len(tokens), dtype=torch.bool)
    depths = torch.zeros(len(tokens), dtype=torch.long)
    for node, parent in enumerate(parents):
        if parent != ROOT:
            ancestors[node] |= ancestors[parent]
            depths[node] = depths[parent] + 1
    return LabelTree(torch.tensor(tokens, dtype=torch.long), depths, ancestors, tuple(paths))
