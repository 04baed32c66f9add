"""One round of retraining: graph, teacher, student, bundle, comparison, reload.

Everything is made in one folder (`RefreshOptions.work`), by the commands that a person would run.
Each step's output is complete or absent; `Round` records the finished steps.
"""

import json
import signal
from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import cached_property
from hashlib import sha256
from pathlib import Path
from typing import Any

from understudy.bundle import Manifest, open_bundle
from understudy.client import Client, RefusedError, UnavailableError
from understudy.command_line.next_step import command
from understudy.command_line.subcommands import run_command
from understudy.engine.opening import check_lineage
from understudy.engine.other_graph import accuracy_of, logits_on
from understudy.engine.state import open_graph
from understudy.folders import check_output, reserved
from understudy.folders.kinds import BUNDLE, GRAPH, STUDENT, TEACHER, marked
from understudy.graph.folder import load_graph, save_graph
from understudy.graph.lineage import lineage_of
from understudy.graph.mutable.differences import count_differences
from understudy.graph.splits import labeled_nodes
from understudy.graph.text_graph import TextGraph, with_used_labels
from understudy.progress import terminal_progress
from understudy.retraining.errors import RefreshError, WorseModelError
from understudy.retraining.joining import join_train, labels_gone
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
from understudy.retraining.replicas import addresses_of
from understudy.retraining.rounds import Round, check_work, read_round, write_round
from understudy.retraining.served import graph_of_folder, graph_of_service, is_service
from understudy.retraining.uncertainty import write_doubts

HARD = "hard.json"
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
        self.work = options.work
        check_work(self.work)
        self.by_url = is_service(options.source)
        self.graph_folder, self.teacher = self.work / "graph", self.work / "teacher"
        self.candidate, self.new = self.work / "candidate", self.work / "bundle"
        self.kept, self.previous = self.work / "student", self.work / "previous"
        self.served = open_bundle(options.bundle, verify=False)
        self.refused: Round | None = None  # the last round, if its model was refused
        inputs = [path for path in (options.bundle, options.student) if path is not None]
        check_output(self.graph_folder, GRAPH, inputs)
        check_output(options.bundle, BUNDLE, [self.work])

    def run(self) -> None:
        """Runs all steps that are not done yet.

        Raises:
            WorseModelError: the new model is worse; the served one stays.
            RefreshError: a step failed; the same command resumes with it.
        """
        with reserved(self.graph_folder):
            self.round = self.begin()
            try:
                self.step("graph", self.get_graph)
                if self.options.teacher is not None:
                    self.step("teacher", self.teach)
                self.step("student", self.distill)
                self.step("bundle", self.export)
                self.step("gate", self.compare)
                if not self.options.reload:
                    self.tell(f"{self.new} is ready; nothing is replaced or reloaded")
                    return
                self.step("place", self.place)
                self.step("reload", self.reload)
                self.end()
            except NothingChanged:
                self.end()

    def begin(self) -> Round:
        """Resumes an interrupted round with the same options, or starts a new one."""
        about = self.about()
        found = read_round(self.work)
        now = self.manifest(self.options.bundle).version
        if found is not None and found.about == about:
            if self.goes_on(found, now):
                done = ", ".join(found.done) or "nothing yet"
                self.tell(f"resuming the earlier run; done: {done}")
                return found
            if found.refused and found.before == now:
                self.refused = found
        self.check_served(now)
        self.student_config()
        fresh = Round(about, now)
        self.work.mkdir(parents=True, exist_ok=True)
        write_round(self.work, fresh)
        return fresh

    def goes_on(self, found: Round, now: str) -> bool:
        """Whether a round can be resumed, given the version of the served bundle."""
        if found.ended or ("gate" in found.done and not self.options.reload):
            return False
        return now == found.before or ("bundle" in found.done and now == self.new_version())

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

    def check_served(self, version: str) -> None:
        """Checks that the service serves the bundle in the folder, which will be compared.

        Raises:
            RefreshError: it serves another one.
            ClientError: the service does not answer.
        """
        if not self.by_url:
            return
        for url in self.services():
            with self.client(url) as client:
                serving = client.info()["model_version"]
            if serving != version:
                raise RefreshError(
                    f"{url} serves the model {serving}, but {self.options.bundle} holds {version}; "
                    "give the served bundle, or reload the service first"
                )

    def step(self, name: str, work: Callable[[], None]) -> None:
        if name not in self.round.done:
            work()
            self.note(done=[*self.round.done, name])

    def note(self, **changes: Any) -> None:
        self.round = replace(self.round, **changes)
        write_round(self.work, self.round)

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
        if self.refused is not None and not options.unchanged and self.same_graph(graph):
            self.tell("a model of this graph was already refused (--unchanged trains anyway)")
            raise NothingChanged
        save_graph(graph, self.graph_folder)

    def same_graph(self, graph: TextGraph) -> bool:
        """Whether the last round used this graph."""
        meta = marked(self.graph_folder, GRAPH)
        return meta is not None and meta["content_hash"] == graph.content_hash

    def teach(self) -> None:
        """Asks the teacher; with a limit, first about nodes that the served model is unsure of."""
        hard = None
        if asks_the_hard_ones(self.options):
            hard = self.work / HARD
            with terminal_progress() as progress:
                write_doubts(self.options.bundle, load_graph(self.graph_folder), hard, progress)
            self.tell("teacher: asked first where the served model is least sure")
        self.command("teach", self.graph_folder, self.teacher, *teach_words(self.options, hard))

    def distill(self) -> None:
        """Trains with the served student's weights as start, and with its options."""
        config = self.student_config()
        taught_by = marked(self.teacher, TEACHER)
        if self.options.teacher is None:
            if config.get("teacher"):
                self.tell("student: trained on labels alone, since no --teacher is given")
        elif taught_by and (known := objectives_kept(config, taught_by["kind"])) is not config:
            self.tell(
                f"student: distill's default objectives, as no {taught_by['kind']} taught it before"
            )
            config = known
        wanted = self.served.manifest.calibration.wanted
        words = distill_words(self.options, config, wanted, self.teacher)
        self.command("distill", self.graph_folder, self.candidate, "--from", self.start, *words)

    def export(self) -> None:
        words = export_words(self.options, self.served.manifest)
        self.command("export", self.candidate, self.new, *words)

    def compare(self) -> None:
        """Compares both models on the validation nodes of the new graph.

        Raises:
            WorseModelError: the new model is worse by more than the tolerance.
            RefreshError: there is no such node.
        """
        graph = load_graph(self.graph_folder)
        nodes = labeled_nodes(graph, "val")
        if not len(nodes):
            self.end()
            raise RefreshError(
                f"{self.graph_folder} has no labelled validation node, so the models cannot be "
                "compared; import the graph with a validation split"
            )
        with terminal_progress() as progress:
            served, found = (
                100 * accuracy_of(*logits_on(folder, graph, progress), graph, nodes)
                for folder in (self.options.bundle, self.new)
            )
        self.note(served=served, found=found)
        words = (
            f"validation accuracy on {len(nodes):,} nodes of the graph: {served:.2f} for the "
            f"served model, {found:.2f} for the new one"
        )
        if found < served - self.options.tolerance:
            self.end(refused=True)
            raise WorseModelError(
                f"{words}, which is worse by more than {self.options.tolerance:g} points; the "
                "served model stays"
            )
        self.tell(words)

    def place(self) -> None:
        """Replaces the served bundle with the new one, and keeps the old one."""
        if self.manifest(self.options.bundle).version != self.new_version():
            put_copy(self.options.bundle, self.previous)
            put_copy(self.new, self.options.bundle)
        self.tell(
            f"{self.options.bundle}: {self.new_version()}; the previous bundle is in "
            f"{self.previous}"
        )

    def reload(self) -> None:
        """Makes the service reload; if the first one refuses, the old bundle is put back.

        Raises:
            RefreshError: it refuses, or does not answer.
        """
        if self.by_url:
            for number, url in enumerate(self.services()):
                self.ask_to_reload(url, first=not number)
                self.tell(f"{url} serves {self.new_version()}")
        else:
            self.tell("a service loads it when it is restarted or reloaded")
        put_copy(self.candidate, self.kept)  # the start of the next round

    def services(self) -> list[str]:
        source = self.options.source
        return addresses_of(source) if self.options.every_address else [source]

    def ask_to_reload(self, url: str, first: bool) -> None:
        """Makes one service reload; if the first one refuses, puts the old bundle back."""
        try:
            with self.client(url) as client:
                version = client.info()["model_version"]
                if version != self.new_version():
                    version = client.reload()["model_version"]
        except UnavailableError as error:
            raise RefreshError(
                f"{error}; run the same command again to repeat the reload"
            ) from error
        except RefusedError as error:
            if error.code != "reload_refused" or not first:
                raise RefreshError(
                    f"{url}: {error}; run the same command again to repeat the reload"
                ) from error
            put_copy(self.previous, self.options.bundle)
            self.end(refused=True)
            raise RefreshError(
                f"{url} refused the new bundle, and the old one was put back: {error}"
            ) from error
        if version != self.new_version():
            raise RefreshError(
                f"{url} loaded {version} instead of the bundle in {self.options.bundle}; serve "
                "that folder"
            )

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

    def client(self, url: str) -> Client:
        return Client(url, self.options.key, self.options.timeout)

    def manifest(self, folder: Path) -> Manifest:
        return open_bundle(folder, verify=False).manifest

    def new_version(self) -> str:
        return self.manifest(self.new).version

    @cached_property
    def start(self) -> Path:
        """The student to start from: that of the served bundle, if known.

        The last round's student, if that round did not finish and its bundle was served by other
        means, for example after --no-reload.
        """
        if self.is_served(self.kept):
            return self.kept
        if self.is_served(self.candidate):
            put_copy(self.candidate, self.kept)
            return self.kept
        if self.options.student is not None:
            return self.options.student
        raise RefreshError(
            f"{self.kept} does not hold the student that {self.options.bundle} was exported from; "
            "give that student, or a similar one, with --student"
        )

    def is_served(self, student: Path) -> bool:
        """Whether the served bundle was exported from a student; compares graph and metrics."""
        config, manifest = marked(student, STUDENT), self.served.manifest
        if config is None or config["graph_hash"] != manifest.graph.content_hash:
            return False
        metrics = json.loads((student / "metrics.json").read_text(encoding="utf-8"))
        return bool(metrics == manifest.metrics)

    def student_config(self) -> Mapping[str, Any]:
        """Reads config.json of the student to start from.

        Raises:
            RefreshError: it is not a student folder.
        """
        config = marked(self.start, STUDENT)
        if config is None:
            raise RefreshError(f"{self.start} is not a student folder")
        return config
