"""Work that is put off until changes pause."""

from threading import Event

from understudy.engine.maintenance import Maintenance


def test_maintenance_runs_when_changes_pause_and_lives_on() -> None:
    runs: list[int] = []
    done = Event()

    def work() -> None:
        runs.append(len(runs))
        if len(runs) == 1:
            raise ValueError("the first round fails")
        done.set()

    maintenance = Maintenance(work, quiet_seconds=0.001)
    maintenance.notice()
    while not done.wait(0.01):
        maintenance.notice()
    maintenance.close()
    assert len(runs) >= 2
    maintenance.close()
