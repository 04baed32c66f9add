"""A head that is fitted to kept features."""

import numpy as np
import torch

from training.teacher.head import fit_head


def test_a_head_finds_what_tells_classes_apart() -> None:
    generator = np.random.default_rng(0)
    labels = generator.integers(0, 3, 300)
    features = generator.normal(5, 2, (2, 300, 8))
    features[:, :, :3] += 8 * np.eye(3)[labels]
    head = fit_head(features, labels, np.arange(200), np.arange(200, 250), 3)
    with torch.no_grad():
        found = head(torch.from_numpy(features[1, 250:]).float()).argmax(1)
    assert float((found.numpy() == labels[250:]).mean()) > 0.95
