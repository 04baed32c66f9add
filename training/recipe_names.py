"""The names of an evaluation's recipes, known without torch; `training.recipes` builds them."""

from collections.abc import Iterable

VANILLA = "vanilla"
COMBINED = "combined"
RANDOM, HARD = "random-teacher", "labels-only"  # controls of the combination
# Controls of `unlabeled`: without smoothing, so without the edges' share of the gain; with label
# propagation as the teacher; with the vanilla student; with a graph network on MiniLM's embeddings;
# and with the random teacher's answers. Controls that smooth also exist unsmoothed.
UNSMOOTHED, PROPAGATED = "unsmoothed", "propagated-labels"
SELF, SELF_BARE = "self-teacher", "self-teacher-unsmoothed"
GRAPH, GRAPH_BARE = "graph-teacher", "graph-teacher-unsmoothed"
SHUFFLED, SHUFFLED_BARE = "shuffled-answers", "shuffled-unsmoothed"
UNLABELED_CONTROLS = (
    *(UNSMOOTHED, PROPAGATED, SELF, SELF_BARE),
    *(GRAPH, GRAPH_BARE, SHUFFLED, SHUFFLED_BARE),
)
LANGUAGE_FREE = (VANILLA, PROPAGATED, SELF, SELF_BARE, GRAPH, GRAPH_BARE)  # no prompts


def recipe_names(objectives: Iterable[str]) -> tuple[str, ...]:
    """All recipes of an evaluation: the controls, and one for each objective that needs a teacher.

    Args:
        objectives: all but that of the labels
    """
    return (VANILLA, *objectives, COMBINED, RANDOM, HARD, *UNLABELED_CONTROLS)
