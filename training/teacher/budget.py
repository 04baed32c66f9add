"""Chooses the nodes to ask about if a teacher cannot be asked about all.

Questions go where labels say least: first to nodes that no training label reaches over the edges,
then to nodes on which label propagation is uncertain and whose neighbours it classifies differently
(the local homophily of its predictions). Of linked nodes one comes first, since its answer also
informs about the others. Every fifth node is a random one of validation: these choose the view that
students learn from and its temperature, for which hard nodes alone would be misleading. Training
nodes have labels, so they come last, unless a head is fitted to the answers about them.

The order does not depend on the budget, so a larger one only adds nodes.
"""

import itertools
import logging
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from training.data import normalized_adjacency
from training.errors import TeacherError
from training.teacher.answers.folder import View
from training.teacher.answers.smoothing import smoothed
from training.teacher.hardness import hardness_of
from training.teacher.options import Budget, Choice
from understudy.counting import counted
from understudy.graph import TextGraph
from understudy.graph.csr import Adjacency
from understudy.graph.prompts import Prompt
from understudy.graph.splits import labeled_nodes

TURN = 5  # nodes, of which one is of validation and, if a head is fitted, one of training
MOST_VALIDATION = 400  # nodes: a standard error of at most 2.5 points
REACH = 0.9  # weight of the neighbours in propagation
UNREACHED = 2.5  # above any uncertainty: an entropy and a share sum to at most 2

log = logging.getLogger(__name__)


def unpriced(_: Prompt) -> float:
    """What a question costs if nothing has a price."""
    return 0.0


def budgeted_nodes(
    graph: TextGraph,
    hops: Sequence[int],
    budget: Budget,
    write: Callable[[int, int], Prompt],
    cost: Callable[[Prompt], float],
    seed: int,
    fitted: bool,
) -> NDArray[np.int64]:
    """The nodes to ask about, in order; logs how many, and how many are of validation.

    Args:
        write: writes the prompt for a node at a hop.
        cost: of a question, in money.
        fitted: a head is fitted to the answers about training nodes.

    Raises:
        TeacherError: the budget is too small for one node or for one of validation, or `hard` names
            an unknown node.
    """
    if not budget.limited:
        return np.arange(graph.num_nodes, dtype=np.int64)
    worth = hardness_of(graph, budget.hard) if budget.hard else None
    order = asking_order(graph, budget.choice, seed, fitted, worth)
    nodes = order[: affordable(order, hops, budget, write, cost)]
    validation = int(np.isin(nodes, labeled_nodes(graph, "val")).sum())
    if not validation:
        raise TeacherError(
            f"the budget allows {counted(len(nodes), 'node')}, of which none is a validation node, "
            "but these choose the view that students learn from; raise --max-nodes or --budget"
        )
    log.warning(
        "asking about %d of %d nodes (%s), among them %s to choose the view by",
        len(nodes),
        graph.num_nodes,
        budget.choice,
        counted(validation, "validation node"),
    )
    return nodes


def affordable(
    order: NDArray[np.int64],
    hops: Sequence[int],
    budget: Budget,
    write: Callable[[int, int], Prompt],
    cost: Callable[[Prompt], float],
) -> int:
    """How many nodes of the order the budget allows; identical questions are paid once.

    Raises:
        TeacherError: none.
    """
    most = min(budget.nodes or len(order), len(order))
    if not budget.calls and not budget.money:
        return most
    paid: set[Prompt] = set()
    questions, money = 0, 0.0
    for count, node in enumerate(order[:most].tolist()):
        fresh = {write(node, hop) for hop in hops} - paid
        questions += len(fresh)
        money += sum(map(cost, fresh))
        if (budget.calls and questions > budget.calls) or (budget.money and money > budget.money):
            if not count:
                raise TeacherError(
                    f"one node takes {questions} questions (cost about {money:.2g}), more than the "
                    "budget; raise --budget or --budget-money, or ask about fewer --hops"
                )
            return count
        paid |= fresh
    return most


def asking_order(
    graph: TextGraph,
    choice: Choice,
    seed: int,
    fitted: bool,
    worth: NDArray[np.float64] | None = None,
) -> NDArray[np.int64]:
    """int64 [N]: all nodes in the order in which to ask, for any budget.

    Args:
        worth: of an answer about each node; float64 [N]. None: the labels' uncertainty.
    """
    drawn = np.random.default_rng([seed, 3]).permutation(graph.num_nodes)
    if choice == "random" and fitted:
        return drawn  # all splits in proportion
    train, validation = (
        drawn[np.isin(drawn, labeled_nodes(graph, split))] for split in ("train", "val")
    )
    others = drawn[~np.isin(drawn, np.concatenate([train, validation]))]
    if choice == "uncertain":
        worth = uncertainty(graph) if worth is None else worth
        others = others[np.argsort(-worth[others], kind="stable")]
        others = apart(others, graph.adjacency)
    queues = [validation[:MOST_VALIDATION], *([train] if fitted else [])]
    last = np.concatenate([validation[MOST_VALIDATION:], *([] if fitted else [train])])
    places = [TURN * np.arange(len(queue)) + turn for turn, queue in enumerate(queues)]
    free = TURN - len(queues)
    steps = np.arange(len(others))
    places.append(TURN * (steps // free) + len(queues) + steps % free)
    order = np.concatenate([*queues, others])[np.argsort(np.concatenate(places), kind="stable")]
    return np.concatenate([order, last])


def apart(nodes: NDArray[np.int64], adjacency: Adjacency) -> NDArray[np.int64]:
    """The nodes in passes without linked nodes; otherwise their order is kept."""
    taken = np.full(adjacency.num_nodes, -1)  # the pass of each node
    for node in nodes.tolist():
        others = set(taken[adjacency.neighbors(node)].tolist())
        taken[node] = next(number for number in itertools.count() if number not in others)
    return nodes[np.argsort(taken[nodes], kind="stable")]


def uncertainty(graph: TextGraph) -> NDArray[np.float64]:
    """How little training labels, spread over the edges, say about every node; float64 [N].

    Entropy as a share of its maximum, plus the share of neighbours with another prediction;
    `UNREACHED` if no label arrives.
    """
    count, classes = graph.num_nodes, graph.num_classes
    nothing = View(np.empty(0, np.int64), np.empty((0, classes), np.float32))
    spread = smoothed(graph, normalized_adjacency(graph.adjacency), nothing, REACH)
    predicted = np.full(count, classes, dtype=np.int64)
    predicted[spread.nodes] = spread.log_probabilities.argmax(axis=1)
    degrees = graph.adjacency.degrees
    rows = np.repeat(np.arange(count), degrees)
    differs = predicted[rows] != predicted[graph.adjacency.indices]
    unlike = np.bincount(rows, differs, minlength=count)
    result = np.full(count, UNREACHED)
    shares = spread.log_probabilities
    entropy = -(np.exp(shares) * shares).sum(axis=1) / np.log(classes)
    result[spread.nodes] = entropy + (unlike / np.maximum(degrees, 1))[spread.nodes]
    return result
