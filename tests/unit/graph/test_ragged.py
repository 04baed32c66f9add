import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from understudy.graph import ragged
from understudy.graph.ragged import ends, positions


@pytest.mark.parametrize("many", [0, 2**20], ids=["running sum", "repeated"])
@given(st.lists(st.tuples(st.integers(0, 50), st.integers(0, 4)), max_size=9))
def test_runs_stand_one_behind_the_other_be_they_empty_or_twice_there(
    many: int, runs: list[tuple[int, int]]
) -> None:
    starts = np.array([start for start, _ in runs], np.int64)
    indptr = ends(np.array([length for _, length in runs], np.int64))
    expected = [number for start, length in runs for number in range(start, start + length)]
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ragged, "MANY", many)
        assert positions(starts, indptr).tolist() == expected
