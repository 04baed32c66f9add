"""Hyperparameters chosen on validation, with the same budget for every recipe."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace

import optuna

from training.evaluation.plan import VANILLA, Choice, EvaluationOptions, RunKey
from training.evaluation.run import Material, train_recipe

WIDTHS = (64, 128, 256)


def search(key: RunKey, material: Material, options: EvaluationOptions) -> Choice:
    """The choice of the highest validation accuracy among `options.trials`."""

    def value(choice: Choice) -> float:
        _, training = train_recipe(key, material, options, choice)
        return training.epochs[training.best_epoch].val_accuracy

    return best_choice(value, key.recipe, options.trials, options.default_choice)


def best_choice(
    value: Callable[[Choice], float], recipe: str, trials: int, first: Choice
) -> Choice:
    """The choice of the highest value, which must come from validation, among some trials.

    The first trial is `first`, so that a search never ends below it. A vanilla student has no
    strength to choose: its trials all go to the rest.
    """
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    study = optuna.create_study(direction="maximize", sampler=optuna.samplers.TPESampler(seed=0))
    names = set(asdict(first)) - ({"strength"} if recipe == VANILLA else set())
    study.enqueue_trial({name: value for name, value in asdict(first).items() if name in names})
    widths = sorted({*WIDTHS, first.hidden})
    study.optimize(lambda trial: value(choose(trial, recipe, widths)), n_trials=trials)
    return Choice(**study.best_params)


def choose(trial: optuna.Trial, recipe: str, widths: Sequence[int]) -> Choice:
    choice = Choice(
        learning_rate=trial.suggest_float("learning_rate", 3e-4, 3e-2, log=True),
        weight_decay=trial.suggest_float("weight_decay", 1e-4, 1e-1, log=True),
        dropout=trial.suggest_float("dropout", 0.1, 0.8),
        input_dropout=trial.suggest_float("input_dropout", 0.0, 0.8),
        hidden=trial.suggest_categorical("hidden", widths),
        bare=trial.suggest_categorical("bare", [False, True]),
    )
    if recipe == VANILLA:
        return choice
    return replace(choice, strength=trial.suggest_float("strength", 0.03, 10.0, log=True))
