"""The delay between a change's acknowledgement and its visibility elsewhere."""

from pathlib import Path
from threading import Thread

import numpy as np
import pytest

from benchmarks.replication import Place, figures_of, watch, write
from tests.bundles import TinyBundle


def test_figures_are_of_what_was_seen_after_its_acknowledgement() -> None:
    sent = np.arange(4.0)
    figures = figures_of(sent, sent + 0.5, sent + np.array([0.4, 0.6, 0.7, 0.9]))
    assert figures["changes"] == 4
    assert figures["changes a second"] == pytest.approx(4 / 3.5)
    assert figures["median"] == pytest.approx(150)
    assert figures["largest"] == pytest.approx(400)
    assert figures["acknowledged after, median"] == pytest.approx(500)


def test_every_change_is_seen_by_who_follows(tiny_bundle: TinyBundle, tmp_path: Path) -> None:
    place, seen = Place(tiny_bundle.folder, tmp_path / "data"), Seen()
    watching = Thread(target=watch, args=(place, 5, seen))
    with place.open() as engine:
        watching.start()
        sent, acknowledged = write(engine, [0.0, 0.0, 0.01, 0.02, 0.02])
        watching.join(60)
    assert len(seen.messages[1]) == 5
    assert min(sent) > 0
    assert all(np.greater_equal(acknowledged, sent))
    assert all(np.greater(seen.messages[1], sent))


class Seen:
    """The end of a pipe that collects messages, and never blocks."""

    def __init__(self) -> None:
        self.messages: list[list[float]] = []

    def send(self, message: list[float]) -> None:
        self.messages.append(message)

    def poll(self, seconds: float) -> bool:
        return True
