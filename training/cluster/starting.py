"""The function that Ray Train calls in each worker.

Ray's supervising process also loads this module and its arguments. So the module imports nothing
heavy, and the arguments are a reference: torch and its companions take seconds to load.
"""

from typing import Any

import ray


def train_loop(config: dict[str, Any]) -> None:
    """Runs in each worker; `config` comes from `training.cluster.fitting.fitted`."""
    from training.cluster.fitting import fit_share

    fit_share(*ray.get(config["work"]))
