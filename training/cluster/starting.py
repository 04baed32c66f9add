"""What Ray Train calls in each worker.

The process that watches the workers reads this module, too, and what it is given: so it imports
nothing heavy, and what it is given is a reference. Torch and its companions take seconds.
"""

from typing import Any

import ray


def train_loop(given: dict[str, Any]) -> None:
    """What each worker does; `given` is that of `training.cluster.fitting.fitted`."""
    from training.cluster.fitting import fit_share

    fit_share(*ray.get(given["work"]))
