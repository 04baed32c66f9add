"""The losses, grouped by what they read; ours are registered in the same way as others."""

from collections.abc import Mapping
from functools import partial

from training.losses.features import (
    LayerContrast,
    NormDirection,
    Subclasses,
    check_contrast,
    check_shown,
)
from training.losses.objectives import MAKERS, ObjectiveKind
from training.losses.probabilities import Frequencies, Mixtures, SoftLabels

OURS: Mapping[str, ObjectiveKind] = {
    "kd": ObjectiveKind(SoftLabels, reads_train=True),
    "unlabeled": ObjectiveKind(partial(SoftLabels, unlabeled=True)),
    "bd": ObjectiveKind(partial(SoftLabels, unlabeled=True, balanced=True)),
    "lingugkd": ObjectiveKind(
        LayerContrast, check_contrast, reads_features=True, trains_head=False
    ),
    "nd": ObjectiveKind(NormDirection, check_shown, reads_features=True, trains_head=False),
    "lelp": ObjectiveKind(Subclasses, check_shown, reads_features=True),
    "ff": ObjectiveKind(Frequencies),
    "mixup": ObjectiveKind(Mixtures),
}
for name, kind in OURS.items():
    MAKERS.register(name, kind)
