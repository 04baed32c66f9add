"""Measures the test accuracy of `route: auto`, of the student alone, and of its served teacher.

    python -m benchmarks.deferral BUNDLE TEACHER [BUNDLE TEACHER …]

BUNDLE's rule was chosen on validation nodes; TEACHER is the folder that it was measured with. The
bundle's engine answers the test nodes that the teacher was asked about; if the rule defers, the
teacher's recorded answer to the served form of the question is used instead. No test label was
read before.
"""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

import numpy as np
import typer
from numpy.typing import NDArray

from benchmarks.common.command import check_bundle, run_script
from benchmarks.common.results import markdown_table, publish_results
from benchmarks.errors import BenchmarkError
from service.inference.routing import rule_of, unsure_nodes
from service.messages import STUDENTS, Node
from training.deferral import lower_bound, sign_test
from training.teacher.answers.folder import read_info
from training.teacher.answers.views import read_hops
from understudy.engine.engine import Engine
from understudy.graph.text_graph import UNLABELED

LEVEL = 0.05


@dataclass(frozen=True, slots=True)
class Answers:
    """Whether answers about the T test nodes that both answered are right; all bool [T]."""

    student: NDArray[np.bool_]  # right
    teacher: NDArray[np.bool_]  # right, as it is served
    deferred: NDArray[np.bool_]

    @property
    def system(self) -> NDArray[np.bool_]:
        return np.where(self.deferred, self.teacher, self.student)


@dataclass(frozen=True, slots=True)
class DeferralResult:
    """One bundle with its teacher; shares of the test nodes that both answered."""

    graph: str
    teacher: str  # its model
    rule: str  # the bundle's, in words
    test_nodes: int
    student: float  # right alone
    teacher_accuracy: float
    deferred: float
    system: float  # right with `route: auto`
    system_bound: float  # which that exceeds with 95%
    wins: int  # nodes that deferring made right
    losses: int  # and wrong
    p_value: float  # of the sign test


def measure(bundle: Path, teacher: Path) -> tuple[str, str, Answers]:
    """Returns the graph's name, the rule in words, and the answers about the test nodes.

    Raises:
        BenchmarkError: the bundle was not measured with this teacher, or it has no test nodes.
    """
    info = read_info(teacher)
    answered, log_probabilities = read_hops(teacher, info)
    with Engine.open(bundle) as engine:
        manifest = engine.manifest
        record = manifest.teacher
        if record is None or record.prompt_hash != info.prompt_hash:
            raise BenchmarkError(f"{bundle} was not measured with {teacher}; distil it from there")
        graph = engine.state.graph.parts.base
        test = np.intersect1d(graph.splits["test"], answered)
        test = test[graph.labels[test] != UNLABELED]
        if not len(test):
            raise BenchmarkError(f"{teacher} was asked about no labelled test node")
        nodes = [Node(id=graph.ids[row].as_py()) for row in test.tolist()]
        resolution = engine.resolve(nodes)
        predictions = engine.classify_as(STUDENTS, nodes)
        rule = rule_of(manifest, None)
        positions = unsure_nodes(rule, engine, resolution, None)
        names = manifest.label_names
    labels = graph.labels[test]
    rows = log_probabilities[info.hops.index(record.hops)][np.searchsorted(answered, test)]
    own = np.array([names.index(str(prediction.label)) for prediction in predictions])
    deferred = np.isin(np.arange(len(test)), list(positions))
    return info.graph_name, rule.summary, Answers(own == labels, rows.argmax(1) == labels, deferred)


def result_of(name: str, model: str, rule: str, answers: Answers) -> DeferralResult:
    wins = int((answers.deferred & answers.teacher & ~answers.student).sum())
    losses = int((answers.deferred & answers.student & ~answers.teacher).sum())
    return DeferralResult(
        graph=name,
        teacher=model,
        rule=rule,
        test_nodes=len(answers.student),
        student=float(answers.student.mean()),
        teacher_accuracy=float(answers.teacher.mean()),
        deferred=float(answers.deferred.mean()),
        system=float(answers.system.mean()),
        system_bound=lower_bound(int(answers.system.sum()), len(answers.system), LEVEL),
        wins=wins,
        losses=losses,
        p_value=sign_test(wins, wins + losses) if wins + losses else 1.0,
    )


def main(
    folders: Annotated[list[Path], typer.Argument(help="BUNDLE TEACHER, as often as you like.")],
) -> None:
    """Measure, print and write results/deferral.json."""
    if len(folders) % 2:
        raise BenchmarkError("give pairs: a bundle, and the teacher that it was measured with")
    results = []
    for bundle, teacher in zip(folders[::2], folders[1::2], strict=True):
        check_bundle(bundle)
        name, rule, answers = measure(bundle, teacher)
        results.append(result_of(name, read_info(teacher).model, rule, answers))
    rows = [
        (
            found.graph,
            f"{found.test_nodes:,}",
            f"{100 * found.student:.1f}",
            f"{100 * found.teacher_accuracy:.1f}",
            f"{100 * found.deferred:.1f}",
            f"{100 * found.system:.1f}",
            found.rule,
        )
        for found in results
    ]
    header = ["graph", "test nodes", "student", "teacher", "deferred", "auto", "the bundle's rule"]
    table = markdown_table(header, rows)
    publish_results("deferral", {"results": [asdict(found) for found in results]}, table)


if __name__ == "__main__":
    run_script(main)
