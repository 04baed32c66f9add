"""Fewer bits: no sum saturates, and a hub does not drown the leaves."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from export.checks.gates import smallest_cosine
from export.onnx_files import Axes, OnnxFile, export_files
from export.precisions import to_int8
from export.student.even_rows import EvenRows, even_rows
from export.student.files import convert_folder, convert_student, export_student
from training.config import StudentConfig
from training.student.network import Student
from understudy.bundle.sessions import Network, sums_saturate

WIDTH = 40


def student(layers: int = 2) -> Student:
    torch.manual_seed(0)
    return Student(StudentConfig("gin", layers, hidden=WIDTH), 6, 3, hashed=False).eval()


def test_sums_of_large_8_bit_products_do_not_saturate(tmp_path: Path) -> None:
    """On x64 without VNNI they would, were it not for `session.x64quantprecision`."""
    linear = nn.Linear(64, 33, bias=False)
    nn.init.ones_(linear.weight)
    axes: dict[str, Axes] = {"input": ("nodes", None)}
    file = OnnxFile(tmp_path / "fp32.onnx", linear, (torch.zeros(3, 64),), axes, "y")
    export_files([file])
    to_int8(tmp_path / "fp32.onnx", tmp_path / "int8.onnx")
    found = Network(tmp_path / "int8.onnx")({"input": np.ones((2, 64), dtype=np.float32)})
    np.testing.assert_allclose(found, 64, rtol=1e-3)
    assert b"MatMulInteger" in (tmp_path / "int8.onnx").read_bytes()


@pytest.mark.parametrize(
    ("machine", "flags", "saturate"),
    [
        ("x86_64", "fpu avx2 avx512f avx512_vnni", False),
        ("AMD64", "fpu avx2 avx_vnni", False),
        ("x86_64", "fpu avx2 avx512f", True),
        ("x86_64", None, True),
        ("aarch64", None, False),
    ],
)
def test_the_safe_sums_are_asked_for_where_they_are_needed(
    tmp_path: Path, machine: str, flags: str | None, saturate: bool
) -> None:
    facts = tmp_path / "cpuinfo"
    if flags is not None:
        facts.write_text(f"processor\t: 0\nflags\t\t: {flags}\nbugs\t\t:\n", encoding="utf-8")
    assert sums_saturate(machine, facts) is saturate


def test_even_rows_change_nothing_but_the_rounding() -> None:
    linear = nn.Linear(5, 4).double()
    x = torch.randn(7, 5).double() * torch.logspace(-3, 3, 7)[:, None]
    x[2] = 0
    torch.testing.assert_close(EvenRows(linear)(x), linear(x))
    original = student()
    assert {n for n, _ in even_rows(original).named_parameters()} == {
        n for n, _ in original.named_parameters()
    }


def test_a_hub_does_not_drown_the_leaves_of_gin_in_8_bits(tmp_path: Path) -> None:
    gin = student(layers=1)  # every exported layer takes seconds
    export_student(gin, tmp_path / "fp32")
    convert_student(gin, tmp_path / "fp32", tmp_path / "even", "int8")
    convert_folder(tmp_path / "fp32", tmp_path / "uneven", "int8")
    generator = np.random.default_rng(0)
    h = generator.random((8, WIDTH), dtype=np.float32)
    aggregated = generator.random((8, WIDTH), dtype=np.float32)
    aggregated[0] *= 3_000  # the hub
    feeds = {"h": h, "aggregated": aggregated}
    exact, even, uneven = (
        Network(tmp_path / name / "dense1.onnx")(feeds) for name in ("fp32", "even", "uneven")
    )
    assert smallest_cosine(exact, even) > 0.995
    assert smallest_cosine(exact, uneven) < smallest_cosine(exact, even)
