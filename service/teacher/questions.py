"""Prompts about the nodes of a request, from the graph as it stands."""

from dataclasses import dataclass, field

from graph.prompts import Prompt, Prompter, PromptOptions, training_labels
from service.resolution import Resolution
from service.state import GraphState


@dataclass(frozen=True, slots=True)
class QuestionOptions:
    hops: int = 2  # how far a prompt looks around
    prompts: PromptOptions = field(default_factory=lambda: PromptOptions(tokens=380))


class Questions:
    """Writes prompts; what they share is made once for each state of the graph."""

    def __init__(self, options: QuestionOptions) -> None:
        self.options = options
        self.state: GraphState | None = None
        self.prompter: Prompter | None = None

    def prompts(self, resolution: Resolution) -> dict[int, Prompt]:
        """Position in the request → the question about that node."""
        prompter, hops = self.prompter_of(resolution.state), self.options.hops
        stored = zip(resolution.stored_positions, resolution.stored_rows, strict=True)
        unseen = zip(resolution.unseen_positions, resolution.unseen, strict=True)
        return {
            **{position: prompter.stored(row, hops) for position, row in stored},
            **{
                position: prompter.unseen(node.text, node.neighbors.tolist(), hops)
                for position, node in unseen
            },
        }

    def prompter_of(self, state: GraphState) -> Prompter:
        if self.prompter is None or self.state is not state:
            graph = state.graph
            shown = training_labels(graph.parts.base)
            self.prompter = Prompter(graph, graph.label_names, shown, self.options.prompts)
            self.state = state
        return self.prompter
