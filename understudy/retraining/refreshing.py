"""One round of retraining: graph, teacher, student, bundle, comparison, reload.

Everything is made in one folder (`RefreshOptions.work`), by the commands that a person would run.
Each step's output is complete or absent; `Round` records the finished steps.
"""

import json
import signal
from collections.abc import Callable
from dataclasses import replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from understudy.bundle import open_bundle
from understudy.command_line.next_step import command
from understudy.command_line.subcommands import run_command
from understudy.engine.opening import check_lineage
from understudy.engine.other_graph import accuracy_of, logits_on
from understudy.engine.state import open_graph
from understudy.folders import check_output, reserved
from understudy.folders.kinds import BUNDLE, GRAPH, TEACHER, marked
from understudy.graph.folder import load_graph, save_graph
from understudy.graph.lineage import lineage_of
from understudy.graph.mutable.differences import count_differences
from understudy.graph.splits import labeled_nodes
from understudy.graph.text_graph import TextGraph, with_used_labels
from understudy.progress import terminal_progress
from understudy.retraining.errors import BundleRefusedError, RefreshError, WorseModelError
from understudy.retraining.joining import join_train, labels_gone, labels_untrained
from understudy.retraining.options import (
    RefreshOptions,
    asks_the_hard_ones,
    check_options,
    distill_words,
    export_words,
    objectives_kept,
    teach_words,
)
from understudy.retraining.placing import put_copy
from understudy.retraining.rounds import Round, check_work, read_round, write_round
from understudy.retraining.served import graph_of_folder, graph_of_service, is_service
from understudy.retraining.services import AGAIN, check_serving, reload_bundle, services_of
from understudy.retraining.uncertainty import write_doubts
from understudy.retraining.work import Work, config_of, starting_student, version_of

BY_SIGNAL = (129, 130, 143)  # exit statuses of our commands after SIGHUP, SIGINT and SIGTERM


class NothingChanged(Exception):  # noqa: N818  no error: the model was trained on this graph
    """The graph has not changed since the served model was trained."""


class Refresh:
    """One round, which continues where an earlier run stopped."""

    def __init__(
        self,
        options: RefreshOptions,
        tell: Callable[[str], object],
        run: Callable[..., int] = run_command,
    ) -> None:
        """Checks everything that can be checked before any work.

        Args:
            tell: prints a line about what was done.
            run: runs a command of this program, and returns its exit status.

        Raises:
            RefreshError, BundleError, FolderError, GraphError: the first problem found.
        """
        check_options(options)
        self.options, self.tell, self.run_command = options, tell, run
        check_work(options.work)
        self.work = Work(options.work)
        self.by_url = is_service(options.source)
        self.served = open_bundle(options.bundle, verify=False)
        self.refused: Round | None = None  # the last round, if its model was refused
        inputs = [path for path in (options.bundle, options.student) if path is not None]
        check_output(self.work.graph, GRAPH, inputs)
        check_output(options.bundle, BUNDLE, [options.work])

    def run(self) -> None:
        """Runs all steps that are not done yet.

        Raises:
            WorseModelError: the new model is worse; the served one stays.
            RefreshError: a step failed; the same command resumes with it.
        """
        with reserved(self.work.graph):
            self.round = self.begin()
            try:
                self.step("graph", self.get_graph)
                if self.options.teacher is not None:
                    self.step("teacher", self.teach)
                self.step("student", self.distill)
                self.step("bundle", self.export)
                self.step("gate", self.compare)
                if not self.options.reload:
                    self.tell(f"{self.work.bundle} is ready; nothing is replaced or reloaded")
                    return
                self.step("place", self.place)
                self.step("reload", self.reload)
                self.end()
            except NothingChanged:
                self.end()

    def begin(self) -> Round:
        """Resumes an interrupted round with the same options, or starts a new one."""
        about = self.about()
        last = read_round(self.work.folder)
        now = version_of(self.options.bundle)
        if last is not None and last.about == about:
            if self.goes_on(last, now):
                done = ", ".join(last.done) or "nothing yet"
                self.tell(f"resuming the earlier run; done: {done}")
                return last
            if last.refused and last.before == now:
                self.refused = last
        if self.by_url:
            check_serving(self.options, now)
        config_of(self.start)
        fresh = Round(about, now)
        self.work.folder.mkdir(parents=True, exist_ok=True)
        write_round(self.work.folder, fresh)
        return fresh

    def goes_on(self, last: Round, now: str) -> bool:
        """Whether a round can be resumed, given the version of the served bundle."""
        if last.ended or ("gate" in last.done and not self.options.reload):
            return False
        if "bundle" in last.done and now == version_of(self.work.bundle):
            return True  # the new bundle was already put into its place
        return now == last.before

    def about(self) -> str:
        """Digests all options that the outcome depends on, except graph and served model."""
        options = self.options
        inputs = [
            options.source,
            options.teacher,
            options.budget,
            options.teach_options,
            options.epochs,
            options.tolerance,
            options.join_train,
            str(options.bundle.resolve()),
            str(options.student and options.student.resolve()),
        ]
        return sha256(json.dumps(inputs).encode()).hexdigest()

    def step(self, name: str, work: Callable[[], None]) -> None:
        if name not in self.round.done:
            work()
            self.note(done=[*self.round.done, name])

    def note(self, **changes: Any) -> None:
        self.round = replace(self.round, **changes)
        write_round(self.work.folder, self.round)

    def end(self, refused: bool = False) -> None:
        self.note(ended=True, refused=refused)

    def get_graph(self) -> None:
        """Writes the current graph, and reports how it differs from the served model's."""
        options = self.options
        with terminal_progress() as progress:
            if self.by_url:
                graph = graph_of_service(options.source, options.key, options.timeout, progress)
            else:
                graph = graph_of_folder(Path(options.source), options.bundle, progress)
        check_lineage(self.served.manifest, lineage_of(graph).id)
        counts = count_differences(open_graph(self.served), graph)
        position = lineage_of(graph).position
        before = self.served.manifest.graph.position
        self.tell(f"graph: version {position:,}; served model: version {before:,}; {counts}")
        joined = 0
        if options.join_train:
            grown = join_train(graph)
            graph, joined = grown.graph, grown.count
            self.tell(f"labels: {grown.summary}")
        if counts.nothing and not joined and not options.unchanged:
            self.tell(
                "the graph has not changed: the served model stays (--unchanged trains anyway)"
            )
            raise NothingChanged
        known, graph = graph, with_used_labels(graph)
        if gone := labels_gone(known, graph):
            self.tell(f"labels: {gone} has no node any more, so the new model will not know it")
        if untrained := labels_untrained(graph):
            self.tell(f"labels: {untrained}")
        if self.refused is not None and not options.unchanged and self.same_graph(graph):
            self.tell("a model of this graph was already refused (--unchanged trains anyway)")
            raise NothingChanged
        save_graph(graph, self.work.graph)

    def same_graph(self, graph: TextGraph) -> bool:
        """Whether the last round used this graph."""
        meta = marked(self.work.graph, GRAPH)
        return meta is not None and meta["content_hash"] == graph.content_hash

    def teach(self) -> None:
        """Asks the teacher; with a limit, first about nodes that the served model is unsure of."""
        hard = None
        if asks_the_hard_ones(self.options):
            hard = self.work.doubts
            with terminal_progress() as progress:
                write_doubts(self.options.bundle, load_graph(self.work.graph), hard, progress)
            self.tell("teacher: asked first where the served model is least sure")
        self.command("teach", self.work.graph, self.work.teacher, *teach_words(self.options, hard))

    def distill(self) -> None:
        """Trains with the served student's weights as start, and with its options."""
        config = config_of(self.start)
        taught_by = marked(self.work.teacher, TEACHER)
        if self.options.teacher is None:
            if config.get("teacher"):
                self.tell("student: trained on labels alone, since no --teacher is given")
        elif taught_by and (known := objectives_kept(config, taught_by["kind"])) is not config:
            self.tell(
                f"student: distill's default objectives, as no {taught_by['kind']} taught it before"
            )
            config = known
        wanted = self.served.manifest.calibration.wanted
        words = distill_words(self.options, config, wanted, self.work.teacher)
        self.command("distill", self.work.graph, self.work.candidate, "--from", self.start, *words)

    def export(self) -> None:
        words = export_words(self.options, self.served.manifest)
        self.command("export", self.work.candidate, self.work.bundle, *words)

    def compare(self) -> None:
        """Compares both models on the validation nodes of the new graph.

        Raises:
            WorseModelError: the new model is worse by more than the tolerance.
            RefreshError: there is no such node.
        """
        graph = load_graph(self.work.graph)
        nodes = labeled_nodes(graph, "val")
        if not len(nodes):
            self.end()
            raise RefreshError(
                f"{self.work.graph} has no labelled validation node, so the models cannot be "
                "compared; import the graph with a validation split"
            )
        with terminal_progress() as progress:
            served, new = (
                100 * accuracy_of(*logits_on(folder, graph, progress), graph, nodes)
                for folder in (self.options.bundle, self.work.bundle)
            )
        self.note(served=served, found=new)
        words = (
            f"validation accuracy on {len(nodes):,} nodes of the graph: {served:.2f} for the "
            f"served model, {new:.2f} for the new one"
        )
        if new < served - self.options.tolerance:
            self.end(refused=True)
            raise WorseModelError(
                f"{words}, which is worse by more than {self.options.tolerance:g} points; the "
                "served model stays"
            )
        self.tell(words)

    def place(self) -> None:
        """Replaces the served bundle with the new one, and keeps the old one."""
        new = version_of(self.work.bundle)
        if version_of(self.options.bundle) != new:
            put_copy(self.options.bundle, self.work.previous)
            put_copy(self.work.bundle, self.options.bundle)
        self.tell(f"{self.options.bundle}: {new}; the previous bundle is in {self.work.previous}")

    def reload(self) -> None:
        """Makes the services reload; if the first one refuses, the old bundle is put back.

        Raises:
            RefreshError: one refuses, or does not answer.
        """
        if self.by_url:
            new = version_of(self.work.bundle)
            for number, url in enumerate(services_of(self.options)):
                try:
                    reload_bundle(url, self.options, new)
                except BundleRefusedError as error:
                    if number:  # others serve it already
                        raise RefreshError(f"{url}: {error}; {AGAIN}") from error
                    put_copy(self.work.previous, self.options.bundle)
                    self.end(refused=True)
                    raise RefreshError(
                        f"{url} refused the new bundle, and the old one was put back: {error}"
                    ) from error
                self.tell(f"{url} serves {new}")
        else:
            self.tell("a service loads it when it is restarted or reloaded")
        put_copy(self.work.candidate, self.work.student)  # the start of the next round

    def command(self, *words: object) -> None:
        """Runs a command, after printing it as it would be typed.

        Raises:
            RefreshError: it failed, after printing the reason itself.
        """
        self.tell(f"$ {command(*words)}")
        status = self.run_command(*words)
        if status > 0 and status not in BY_SIGNAL:
            self.end()  # the graph may be the cause, so the next round fetches it again
        if status:
            ended = f"ended with status {status}"
            if status < 0:
                ended = f"was killed by signal {-status}"
                ended += ", as happens when memory runs out" if status == -signal.SIGKILL else ""
            raise RefreshError(f"`understudy {words[0]}` {ended}; the served model stays")

    @cached_property
    def start(self) -> Path:
        """The student to start from; raises as `starting_student` does."""
        options = self.options
        return starting_student(self.work, options.bundle, self.served.manifest, options.student)
