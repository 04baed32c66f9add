from understudy.graph.building.repairs import Repair, RepairLog


def test_counts_add_up_and_the_first_place_stays() -> None:
    log = RepairLog()
    log.add("self_loops", 2, "edges.csv:4")
    log.add("self_loops", 3, "more.csv:1")
    log.add("duplicate_edges", 0, "nowhere")
    assert log.notes() == {"self_loops": 5}
    assert str(log.repairs["self_loops"]) == "self-loops dropped: 5 (first: edges.csv:4)"


def test_large_counts_are_readable() -> None:
    assert str(Repair("self_loops", 12345)) == "self-loops dropped: 12,345"
