"""The function that Ray Train calls in each worker.

Ray's supervising process also loads this module and its arguments. So the module imports nothing
heavy, and the arguments are a reference: torch and its companions take seconds to load.
"""

from typing import Any

import ray


def train_loop(given: dict[str, Any]) -> None:
    """Runs in each worker; `given` comes from `training.cluster.fitting.fitted`."""
    from training.cluster.fitting import fit_share

    fit_share(*ray.get(given["work"]))
