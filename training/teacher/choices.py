"""A user's choices for a teacher, as command options or function arguments."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields

from training.errors import TeacherError
from training.teacher.causal import CausalOptions, precision_of
from training.teacher.defaults import defaults_of, reader_kind, teacher_kind
from training.teacher.encoder import EncoderOptions
from training.teacher.endpoint import EndpointOptions
from training.teacher.options import Budget, TeachOptions
from training.teacher.tuning import TuningOptions
from understudy.graph.prompts import PromptOptions

OF_TUNING = ("batch_size", "accumulate", "learning_rate", "max_train_nodes")


@dataclass(frozen=True, slots=True)
class TeacherChoices:
    """None selects a value that suits the kind of teacher (`training.teacher.defaults`)."""

    teacher: str = "encoder"
    hops: Sequence[int] | None = None  # to ask about
    tokens: int | None = None  # of a node's description
    nested: bool | None = None  # a hop's description extends that of the hop before by one ring
    show_labels: bool = True  # neighbours' training labels, in prompts
    label_descriptions: Sequence[tuple[str, str]] = ()  # of labels, for prompts
    epochs: int | None = None  # of tuning; maximum
    batch_size: int | None = None  # prompts per step
    accumulate: int = 1  # number of parts of a step's prompts
    learning_rate: float | None = None
    max_train_nodes: int = 0  # to tune on; 0: all
    budget: Budget | None = None  # of what is asked
    tuned_layers: int = 0  # number of upper encoder layers; 0: all
    frozen: bool = False  # an encoder of which only the head is tuned
    bf16: bool = False  # an encoder in bfloat16
    max_tokens: int = 1_024  # of a causal model's whole prompt, including labels
    precision: str = "auto"  # of a causal model
    scores: str = "auto"  # how an untuned causal model's labels compare
    rank: int = 64  # of a causal model's adapters
    four_bit: bool = False  # a causal model's weights
    gradient_checkpointing: bool = False  # of a causal model
    tokens_per_batch: int = 8_192  # when asking
    endpoint: EndpointOptions | None = None
    seed: int = 0

    @property
    def kind(self) -> str:
        """The kind as named in `training.teacher.readers`."""
        return reader_kind(self.teacher, self.frozen)

    def options(self) -> TeachOptions:
        """Converts the choices to the program's options.

        Raises:
            TrainingError: a choice is out of its range, or concerns tuning without epochs.
        """
        suited = defaults_of(self.teacher)
        epochs = suited.epochs if self.epochs is None else self.epochs
        if not epochs and self.kind in ("causal", "registered"):
            self.refuse_tuning()
        length = suited.tokens if self.tokens is None else self.tokens
        return TeachOptions(
            teacher=self.teacher,
            hops=suited.hops if self.hops is None else tuple(sorted(set(self.hops))),
            prompts=PromptOptions(
                tokens=length,
                show_labels=self.show_labels,
                label_descriptions=tuple(self.label_descriptions),
                nested=suited.nested if self.nested is None else self.nested,
                seed=self.seed,
            ),
            tuning=TuningOptions(
                epochs=epochs,
                batch_size=suited.batch_size if self.batch_size is None else self.batch_size,
                accumulate=self.accumulate,
                learning_rate=(
                    suited.learning_rate if self.learning_rate is None else self.learning_rate
                ),
                max_train_nodes=self.max_train_nodes,
                seed=self.seed,
            ),
            encoder=EncoderOptions(
                max_tokens=length,
                tuned_layers=self.tuned_layers,
                frozen=self.frozen,
                bf16=self.bf16,
            ),
            causal=self.causal,
            endpoint=self.endpoint,
            budget=self.budget or Budget(),
            tokens_per_batch=self.tokens_per_batch,
        )

    def refuse_tuning(self) -> None:
        """Refuses options that are only read in tuning.

        Raises:
            TeacherError: names them.
        """
        usual = TeacherChoices()
        if unread := [name for name in OF_TUNING if getattr(self, name) != getattr(usual, name)]:
            raise TeacherError(
                f"{', '.join(unread)}: applies only if the teacher is tuned, but with 0 epochs it "
                "is not; leave it out, or choose more epochs"
            )

    @property
    def causal(self) -> CausalOptions:
        """The options of a causal model; for other kinds, nothing is looked up."""
        causal = teacher_kind(self.teacher) == "causal"
        return CausalOptions(
            max_tokens=self.max_tokens,
            precision=precision_of(self.precision) if causal else self.precision,
            scores=self.scores,
            rank=self.rank,
            four_bit=self.four_bit,
            gradient_checkpointing=self.gradient_checkpointing,
        )


def refuse_unread_choices(
    choices: TeacherChoices,
    readers: Mapping[str, tuple[str, ...]],
    renamed: Mapping[str, str] | None = None,
) -> None:
    """Refuses a choice other than the default that this teacher does not read.

    Args:
        readers: the kinds that read each choice; a missing one is read by all
        renamed: names by which a caller knows choices

    Raises:
        TeacherError: names the choice, and the kinds that it is for.
    """
    for field in fields(choices):
        kinds = readers.get(field.name, (choices.kind,))
        if choices.kind not in kinds and getattr(choices, field.name) != field.default:
            name = (renamed or {}).get(field.name, field.name)
            raise TeacherError(
                f"{name} applies only to teachers of the kinds {', '.join(kinds)}; this one is of "
                f"the kind '{choices.kind}', so leave it out"
            )
