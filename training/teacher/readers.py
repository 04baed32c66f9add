"""The kinds of teacher that read each option; others refuse the option instead of ignoring it."""

from collections.abc import Mapping

ENCODERS = ("encoder", "frozen encoder")
LOCAL = ("causal", *ENCODERS, "registered")
ENDPOINTS = ("endpoint", "decision endpoint")
TUNED = ("causal", "encoder", "registered")
PROMPTED = (*LOCAL, *ENDPOINTS)  # all except a student, which reads the graph itself
READERS: Mapping[str, tuple[str, ...]] = {  # by option; all teachers read others
    "hops": PROMPTED,
    "tokens": PROMPTED,
    "show_labels": PROMPTED,
    "max_nodes": PROMPTED,
    "budget": PROMPTED,
    "budget_choice": PROMPTED,
    "budget_hard": PROMPTED,
    "label_descriptions": ("causal", *ENDPOINTS),
    "epochs": TUNED,
    "batch_size": TUNED,
    "learning_rate": TUNED,
    "max_train_nodes": TUNED,
    "tuned_layers": ("encoder",),
    "frozen": ENCODERS,
    "bf16": ENCODERS,
    "accumulate": TUNED,
    "rank": ("causal",),
    "max_tokens": ("causal",),
    "precision": ("causal",),
    "scores": ("causal",),
    "four_bit": ("causal",),
    "gradient_checkpointing": ("causal",),
    "tokens_per_batch": LOCAL,
    "budget_money": ENDPOINTS,
    "concurrency": ENDPOINTS,
    "max_choices": ("decision endpoint",),
    "constraint": ("endpoint",),
    "thinking": ("endpoint",),
    "input_price": ENDPOINTS,
    "output_price": ENDPOINTS,
    "seed": PROMPTED,
    "ray": LOCAL,
    "workers": LOCAL,
}
# The names in `evaluate` of options that a student has, too.
RENAMED: Mapping[str, str] = {
    "epochs": "teacher_epochs",
    "batch_size": "teacher_batch_size",
    "learning_rate": "teacher_learning_rate",
}
