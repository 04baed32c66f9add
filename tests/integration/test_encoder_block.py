"""The exported encoder equals the library's, also with outlier channels separated."""

from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import BertConfig, BertModel

from export.checks.gates import smallest_cosine
from export.encoder.block import EncoderBlock
from export.encoder.files import export_encoder
from export.encoder.outliers import OUTLIERS, outliers_last, set_outliers_apart
from export.encoder.rounding import STEPS, round_products, rounded_weights
from export.precisions import to_fp16, to_int8
from training.encoders.minilm import SentenceEncoder
from understudy.bundle.sessions import Network

TEXTS = [[2, 5, 7, 3], [2, 9, 3], [2, *range(20, 60), 3]]


@pytest.fixture(scope="module")
def original() -> SentenceEncoder:
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=100,
        hidden_size=48,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=96,
        max_position_embeddings=64,
    )
    return SentenceEncoder(BertModel(config)).eval()


def padded() -> tuple[torch.Tensor, torch.Tensor]:
    longest = max(map(len, TEXTS))
    ids = torch.tensor([text + [0] * (longest - len(text)) for text in TEXTS])
    mask = torch.tensor([[1] * len(text) + [0] * (longest - len(text)) for text in TEXTS])
    return ids, mask


@torch.inference_mode()
def test_it_computes_what_the_library_computes(original: SentenceEncoder) -> None:
    ids, mask = padded()
    expected = original(ids, mask)
    block = EncoderBlock(original).eval()
    torch.testing.assert_close(block(ids, mask), expected, atol=1e-5, rtol=0)
    set_outliers_apart(block, TEXTS)
    torch.testing.assert_close(block(ids, mask), expected, atol=1e-5, rtol=0)


def test_the_largest_channels_come_last() -> None:
    largest = torch.rand(100)
    order = outliers_last(largest)
    assert sorted(order.tolist()) == list(range(100))
    assert largest[order[-OUTLIERS:]].min() >= largest[order[:-OUTLIERS]].max()


def test_its_files_in_every_precision(original: SentenceEncoder, tmp_path: Path) -> None:
    block = EncoderBlock(original).eval()
    set_outliers_apart(block, TEXTS)
    round_products(block, TEXTS)
    export_encoder(block, tmp_path / "fp32.onnx")
    to_int8(tmp_path / "fp32.onnx", tmp_path / "int8.onnx")
    to_fp16(tmp_path / "fp32.onnx", tmp_path / "fp16.onnx")
    networks = {name: Network(tmp_path / f"{name}.onnx") for name in ("fp32", "int8", "fp16")}
    for text in TEXTS:
        ids = np.array([text])
        found = {
            n: run({"input_ids": ids, "attention_mask": ids * 0 + 1}) for n, run in networks.items()
        }
        with torch.inference_mode():
            exact = original(torch.tensor(ids), torch.ones(ids.shape, dtype=torch.int64)).numpy()
        assert smallest_cosine(found["fp32"], exact) > 0.999  # its weights are rounded
        assert smallest_cosine(found["fp32"], found["int8"]) > 0.99
        assert smallest_cosine(found["fp32"], found["fp16"]) > 0.9999
    assert (tmp_path / "int8.onnx").stat().st_size < (tmp_path / "fp32.onnx").stat().st_size


def test_rounded_weights_stand_on_the_grid_and_err_less_on_the_inputs() -> None:
    generator = np.random.default_rng(0)
    weights = generator.standard_normal((12, 70))
    inputs = generator.standard_normal((500, 8)) @ generator.standard_normal((8, 70))
    inputs += 0.1 * generator.standard_normal(inputs.shape)
    rounded = rounded_weights(weights, inputs.T @ inputs)
    scale = np.abs(weights).max(axis=1, keepdims=True) / STEPS
    steps = rounded / scale
    np.testing.assert_allclose(steps, np.rint(steps), atol=1e-9)
    np.testing.assert_allclose(np.abs(steps).max(axis=1), STEPS)
    nearest = np.rint(weights / scale) * scale
    errors = [np.linalg.norm(inputs @ (found - weights).T) for found in (rounded, nearest)]
    assert errors[0] < 0.5 * errors[1]
