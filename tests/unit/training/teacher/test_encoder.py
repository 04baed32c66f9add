"""The encoder teacher in bfloat16, against float32."""

from pathlib import Path

import numpy as np
import torch

from tests.language_models import SENTENCES, write_tiny_encoder
from training.teacher.encoder import EncoderOptions, load_encoder_teacher
from understudy.graph.prompts import Prompt

PROMPTS = [Prompt("Sort the items.", sentence) for sentence in SENTENCES]


def test_bfloat16_answers_nearly_the_same_and_learns(tmp_path: Path) -> None:
    folder = write_tiny_encoder(tmp_path / "bert", ["kite", "soup"])
    whole = load_encoder_teacher(folder, 3, EncoderOptions())
    short = load_encoder_teacher(folder, 3, EncoderOptions(bf16=True))
    expected, found = whole.answer(PROMPTS), short.answer(PROMPTS)
    assert expected.features is not None
    assert found.features is not None
    assert not np.array_equal(found.features, expected.features)
    np.testing.assert_allclose(found.features, expected.features, atol=0.05)
    np.testing.assert_allclose(found.log_probabilities, expected.log_probabilities, atol=0.05)
    assert {weight.dtype for weight in short.module.parameters()} == {torch.float32}

    labels = torch.tensor([0, 1, 2, 0, 1])
    tuned = [weight for weight in short.module.parameters() if weight.requires_grad]
    optimizer = torch.optim.AdamW(tuned, lr=1e-2)
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = short.loss(PROMPTS, labels)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.1 * losses[0]
