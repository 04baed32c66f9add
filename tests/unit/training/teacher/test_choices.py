"""The choices of a teacher, and which its kind reads."""

import math
from collections.abc import Callable
from dataclasses import fields, replace

import pytest

from training.errors import TeacherError, TrainingError
from training.teacher.choices import TeacherChoices, refuse_unread_choices
from training.teacher.defaults import DEFAULTS
from training.teacher.endpoint import EndpointOptions
from training.teacher.options import Budget, TeachOptions
from training.teacher.readers import READERS


def test_what_is_not_said_suits_the_kind() -> None:
    causal = TeacherChoices(teacher="./llama", precision="float32").options()
    assert causal.prompts.nested
    assert causal.prompts.tokens == DEFAULTS["causal"].tokens
    assert causal.tuning.batch_size == DEFAULTS["causal"].batch_size
    encoder = TeacherChoices().options()
    assert not encoder.prompts.nested
    assert replace(encoder, tuning=TeachOptions().tuning) == TeachOptions()


def test_what_is_said_reaches_the_options() -> None:
    options = TeacherChoices(
        teacher="./llama",
        hops=[2, 0],
        nested=False,
        epochs=5,
        accumulate=4,
        max_tokens=256,
        precision="bfloat16",
        scores="prior",
        rank=8,
        seed=3,
    ).options()
    assert options.hops == (0, 2)
    assert not options.prompts.nested
    assert (options.tuning.epochs, options.tuning.accumulate) == (5, 4)
    assert (options.causal.max_tokens, options.causal.rank) == (256, 8)
    assert (options.causal.precision, options.causal.scores) == ("bfloat16", "prior")
    assert options.prompts.seed == options.tuning.seed == 3


@pytest.mark.parametrize(
    ("choices", "message"),
    [
        (
            TeacherChoices(precision="float32"),
            "precision applies only to teachers of the kinds causal;",
        ),
        (TeacherChoices(teacher="./llama", bf16=True), "bf16 applies only .* of the kind 'causal'"),
        (TeacherChoices(frozen=True, epochs=2), "epochs applies only .*kind 'frozen encoder'"),
        (
            TeacherChoices(teacher="student:s", hops=[1]),
            "hops applies only .* of the kind 'student'",
        ),
    ],
)
def test_what_a_teacher_does_not_read_is_refused(choices: TeacherChoices, message: str) -> None:
    with pytest.raises(TeacherError, match=message):
        refuse_unread_choices(choices, READERS)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: TeacherChoices(learning_rate=math.nan).options(), "learning_rate must be a num"),
        (lambda: EndpointOptions("u", "m", input_price=math.nan), "input_price must be a number"),
        (lambda: EndpointOptions("u", "m", most_money=math.inf), "most_money must be a number"),
        (lambda: Budget(money=math.nan), "the budget's money must be a number of at least 0"),
        (lambda: Budget(nodes=-1), "the budget's nodes must be"),
        (lambda: Budget(calls=1.5), "calls must be a whole number"),  # type: ignore[arg-type]
        (lambda: Budget(choice="uncertian"), "uncertain or random, not"),  # type: ignore[arg-type]
        (lambda: TeacherChoices(hops=[-1, 0]).options(), "a hop must be .* at least 0 .*: -1"),
        (lambda: TeacherChoices(hops=[1, 10**6]).options(), "a hop must be .* at most 8: 1000000"),
        (lambda: TeacherChoices(hops=[]).options(), "hops must contain at least one"),
        (lambda: TeacherChoices(tokens=0).options(), "tokens must be .* at least 8: 0"),
        (lambda: TeacherChoices(batch_size=0).options(), "batch_size must be .* at least 1: 0"),
        (lambda: TeacherChoices(epochs=-1).options(), "epochs must be .* at least 0: -1"),
        (lambda: TeacherChoices(accumulate=0).options(), "accumulate must be .* at least 1: 0"),
        (lambda: TeacherChoices(max_train_nodes=-1).options(), "max_train_nodes must be .*: -1"),
        (lambda: TeacherChoices(tuned_layers=-1).options(), "tuned_layers must be .*: -1"),
        (lambda: TeacherChoices(tokens_per_batch=0).options(), "tokens_per_batch must be .*: 0"),
        (lambda: TeacherChoices(seed=-1).options(), "seed must be a whole number"),
    ],
)
def test_what_is_no_amount_is_refused_before_any_work(
    make: Callable[[], object], message: str
) -> None:
    with pytest.raises(TrainingError, match=message):
        make()


def test_what_a_tuning_reads_is_refused_where_there_is_none() -> None:
    untuned = TeacherChoices(teacher="./llama", epochs=0, precision="float32")
    assert untuned.options().tuning.epochs == 0
    with pytest.raises(TeacherError, match=r"^batch_size, learning_rate: applies only"):
        replace(untuned, batch_size=2, learning_rate=0.1).options()


def test_a_caller_may_have_names_of_its_own() -> None:
    choices = TeacherChoices(frozen=True, epochs=2)
    with pytest.raises(TeacherError, match="teacher_epochs applies only"):
        refuse_unread_choices(choices, READERS, {"epochs": "teacher_epochs"})
    refuse_unread_choices(TeacherChoices(frozen=True, bf16=True, hops=[1]), READERS)


def test_readers_name_choices() -> None:
    named = {field.name for kind in (TeacherChoices, EndpointOptions) for field in fields(kind)}
    renamed = {
        "max_nodes",
        "budget_choice",
        "budget_hard",
        "budget_money",
        "max_choices",
    }  # on the command line
    places = {"ray", "workers"}  # where it is done, which is no choice of what is done
    assert READERS.keys() - renamed - places <= named
