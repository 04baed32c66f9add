"""The benchmark of devices at a tiny size, on the devices of this machine."""

import json
from pathlib import Path

import pytest
import torch

from benchmarks import devices
from benchmarks.common import results
from tests.language_models import write_tiny_encoder


def test_every_device_that_is_here_is_measured(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(results, "RESULTS", tmp_path / "results")
    threads = torch.get_num_threads()
    encoder = write_tiny_encoder(tmp_path / "encoder", ["pump"])
    try:
        devices.main(60, 120, "sage,gat", 1, 20, encoder, threads=1)
    finally:
        torch.set_num_threads(threads)
    found = json.loads((tmp_path / "results" / "devices.json").read_text(encoding="utf-8"))
    ways = {"cpu"}
    if torch.cuda.is_available():
        ways |= {"cuda:0", "cuda:0, bfloat16"}
    for figures in (*found["epoch_seconds"].values(), found["prompts_a_second"]):
        assert figures.keys() == ways
        assert all(value > 0 for value in figures.values())
    text = (tmp_path / "results" / "devices.md").read_text(encoding="utf-8")
    assert "60 nodes, 120 edges" in text
    assert "| sage | " in text
