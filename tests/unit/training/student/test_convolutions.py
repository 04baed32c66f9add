"""PyG's generated code is removed from the disk once its layers can be made."""

import sys
from pathlib import Path

import pytest
import torch

from training.config import STUDENT_KINDS, StudentConfig
from training.student.network import Student


@pytest.mark.parametrize("kind", STUDENT_KINDS)
def test_a_student_leaves_no_file_behind(kind: str) -> None:
    Student(StudentConfig(kind=kind), 8, 3, hashed=False)
    generated = [
        Path(str(module.__file__))
        for name, module in sys.modules.items()
        if name.startswith("torch_geometric.") and name.endswith(("_propagate", "_edge_updater"))
    ]
    assert generated
    for path in generated:
        assert not path.exists()
        assert not list(path.parent.glob(f"__pycache__/{path.stem}.*"))


def test_the_layers_work_as_pyg_means_them() -> None:
    from training.student.convolutions import SAGEConv

    layer = SAGEConv(2, 2)
    ends = torch.tensor([[0, 1], [1, 0]])
    with torch.no_grad():
        result = layer(torch.eye(2), ends)
        by_hand = layer.lin_l(torch.eye(2).flip(0)) + layer.lin_r(torch.eye(2))
    torch.testing.assert_close(result, by_hand)
