"""Builds the parts of a service from its settings, and closes them in the right order."""

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from weakref import WeakValueDictionary

from service.cache import Cache
from service.compatible.proxy import DecisionProxy
from service.compatible.upstream import Upstream
from service.directory import Directory
from service.http.access import (
    Access,
    Key,
    MemoryRateLimiter,
    RateLimiter,
    RedisRateLimiter,
    load_keys,
)
from service.http.bodies import SerialExecutor
from service.http.guard import Clients
from service.inference.batcher import Batcher
from service.inference.classifier import Classifier
from service.inference.current import Changes, Reloader, Slot
from service.inference.embedding_cache import EmbeddingCache
from service.inference.freshness import Freshness
from service.inference.routing import AutoRoute
from service.inference.streams import Streams
from service.redis_link import RedisLink
from service.settings import Settings
from service.teacher.asking import Asking, TeacherSetup
from service.teacher.client import EndpointTeacher, endpoint_teacher
from service.teacher.costs import Prices
from service.teacher.measured import (
    IdentityCheck,
    QuestionSettings,
    check_reload,
    model_to_ask,
    question_options,
)
from service.teacher.questions import Questions
from service.teacher.teacher import Teacher, TeacherOptions
from service.telemetry.health import Health
from service.telemetry.log_writer import lines_left_out
from service.telemetry.metrics import Metrics
from service.telemetry.tracing import Tracer, open_tracer
from service.workers.team import Team
from understudy.bundle import Manifest
from understudy.endpoint.options import ClientOptions
from understudy.engine.engine import Engine
from understudy.engine.errors import LogUnavailableError
from understudy.graph.mutable.view import GraphView
from understudy.graph.readers.label_descriptions import read_label_descriptions

log = logging.getLogger(__name__)
HANG_SHARE = 0.8  # of the time limit of a question: after this long the teacher counts as hanging


@dataclass(frozen=True, slots=True)
class Parts:
    """Everything that lives as long as the service."""

    slot: Slot
    metrics: Metrics
    executor: SerialExecutor
    batcher: Batcher
    health: Health
    classifier: Classifier
    decision_proxy: DecisionProxy
    reloader: Reloader
    changes: Changes
    directory: Directory
    freshness: Freshness
    access: Access
    link: RedisLink | None
    tracer: Tracer | None
    team: Team | None = None
    streams: Streams = field(default_factory=Streams)

    def begin(self) -> None:
        """Starts the background work."""
        if self.classifier.auto.identity_check is not None:
            self.classifier.auto.identity_check.begin(self.slot.engine.manifest)
        if self.link is not None:
            self.link.look()

    def look(self) -> None:
        """Starts what finds out whether the parts work; the next metrics show the result."""
        self.health.look()
        if self.link is not None:
            self.link.look()

    async def close(self) -> None:
        """Closes all parts; the service cannot answer afterwards."""
        if self.classifier.auto.identity_check is not None:
            await self.classifier.auto.identity_check.close()
        if self.classifier.asking is not None:
            await self.classifier.asking.close()
        await self.decision_proxy.close()
        await self.batcher.close()
        await asyncio.to_thread(self.executor.close)
        await asyncio.to_thread(self.slot.engine.close)
        if self.link is not None:
            await self.link.close()
        if self.tracer is not None:
            self.tracer.close()


def build_parts(
    engine: Engine,
    settings: Settings,
    open_engine: Callable[[Engine], Engine] | None,
    team: Team | None = None,
    keys: Sequence[Key] | None = None,
) -> Parts:
    """Builds the parts; nothing connects or starts before the first request.

    Args:
        open_engine, team, keys: see `service.app.create_app`.

    Raises:
        SettingsError: the keys cannot be read, or tracing is requested and not installed.
        GraphError: the file of label descriptions cannot be read.
    """
    metrics, slot, executor = Metrics(), Slot(engine), SerialExecutor(settings.most_waiting)
    batcher = Batcher(settings.batches, metrics)
    link = build_link(settings, metrics)
    auto = AutoRoute(executor, settings.auto_threshold, build_identity_check(settings))
    classifier = Classifier(
        slot,
        batcher,
        metrics,
        executor,
        auto,
        embeddings=EmbeddingCache(
            Cache("embedding", settings.caches, link, metrics, remember=False),
            settings.cached_embeddings,
        ),
        asking=build_asking(settings, slot, link, metrics, auto),
        seconds=settings.request_seconds,
    )
    attach(classifier, engine)
    health = build_health(settings, slot, batcher)
    add_gauges(metrics, slot, batcher, health, link)
    reloader = Reloader(slot, open_engine, partial(attach_other, classifier, settings), metrics)
    return Parts(
        slot=slot,
        metrics=metrics,
        executor=executor,
        batcher=batcher,
        health=health,
        classifier=classifier,
        decision_proxy=build_decision_proxy(settings, classifier),
        reloader=reloader if team is None else team.shared(reloader),
        changes=Changes(slot, settings.max_mutations, metrics),
        directory=Directory(),
        freshness=Freshness(slot, settings.request_seconds),
        access=Access(
            keys_of(settings) if keys is None else keys,
            build_limiter(settings, link),
            Clients(settings.proxies),
        ),
        link=link,
        tracer=open_tracer(),
        team=team,
    )


def attach(classifier: Classifier, engine: Engine) -> None:
    """Prepares an engine for service.

    Raises:
        GraphError: the file of label descriptions cannot be read.
    """
    if classifier.asking is not None:
        classifier.asking.attach(engine)
        log.info("%s", classifier.auto.rule(engine.manifest).summary)
    classifier.embeddings.attach(engine)


def attach_other(classifier: Classifier, settings: Settings, engine: Engine) -> None:
    """Prepares another bundle's engine for service; raises as `attach` and `check_reload` do."""
    if classifier.asking is not None:
        check_reload(engine.manifest, question_settings(engine.manifest, settings))
    attach(classifier, engine)


def keys_of(settings: Settings) -> tuple[Key, ...]:
    """Loads the accepted API keys; empty if no key is needed.

    Raises:
        SettingsError: see `load_keys`.
    """
    return load_keys(settings.keys_file) if settings.keys_file else ()


def build_link(settings: Settings, metrics: Metrics) -> RedisLink | None:
    if not settings.redis_url:
        return None
    return RedisLink(settings.redis_url, settings.redis_timeout_ms / 1_000, metrics)


def build_health(settings: Settings, slot: Slot, batcher: Batcher) -> Health:
    """Builds the readiness check of the served engine; a failed inference triggers a probe."""
    health = Health(
        lambda: batcher.probe(slot.engine),
        settings.probe_seconds,
        settings.probe_timeout_seconds,
        lag=lambda: slot.engine.lag.seconds,
        max_lag_seconds=settings.max_lag_seconds,
        follows=lambda: follows(slot.engine),
        damage=lambda: slot.engine.damage,
    )
    batcher.on_failure = health.doubt
    return health


def follows(engine: Engine) -> bool:
    """Whether changes can be followed; yes while the log is away, or no replica would be ready."""
    return engine.failure is None or isinstance(engine.failure, LogUnavailableError)


def build_decision_proxy(settings: Settings, classifier: Classifier) -> DecisionProxy:
    if settings.upstream is None:
        return DecisionProxy(classifier)
    upstream = Upstream(settings.upstream, classifier.metrics)
    return DecisionProxy(classifier, upstream, settings.upstream_route == "auto")


def build_limiter(settings: Settings, link: RedisLink | None) -> RateLimiter | None:
    if settings.rate is None:
        return None
    return RedisRateLimiter(settings.rate, link) if link else MemoryRateLimiter(settings.rate)


def build_asking(
    settings: Settings, slot: Slot, link: RedisLink | None, metrics: Metrics, auto: AutoRoute
) -> Asking | None:
    """Builds what asks the teacher; the identity of that teacher keys its cached answers."""
    if settings.teacher is None:
        return None

    async def identity() -> str:
        return await auto.identity(slot.engine.manifest)

    politeness = TeacherOptions(
        settings.teacher_concurrency,
        requests=settings.most_waiting,
        hang_seconds=HANG_SHARE * min(settings.teacher_seconds, settings.request_seconds),
    )
    cache = Cache("teacher", settings.caches, link, metrics)
    teacher = Teacher(cache, politeness, metrics, identity)
    return Asking(
        teacher,
        teacher_setups(settings, settings.teacher),
        settings.shadow_share,
        metrics,
        Prices(settings.teacher_input_price, settings.teacher_output_price),
    )


def teacher_setups(
    settings: Settings, endpoint: ClientOptions
) -> Callable[[Manifest], TeacherSetup]:
    """Makes the teacher's setup of each bundle; equal teachers share one backend."""
    opened: WeakValueDictionary[tuple[object, ...], EndpointTeacher] = WeakValueDictionary()

    def backend(
        model: str, descriptions: tuple[tuple[str, str], ...], measured: str
    ) -> EndpointTeacher:
        key = model, descriptions, measured
        found = opened.get(key)
        if found is None or found.closed:
            options = replace(endpoint, model=model)
            found = opened[key] = endpoint_teacher(options, dict(descriptions), measured)
        return found

    def setup_of(manifest: Manifest) -> TeacherSetup:
        options = question_options(manifest, question_settings(manifest, settings))
        questions = Questions(options, manifest.label_names)
        model, record = model_to_ask(manifest, settings.teacher_model), manifest.teacher
        measured = f"{record.model_hash} {record.weights}".strip() if record else ""
        return TeacherSetup(questions, backend(model, options.prompts.label_descriptions, measured))

    return setup_of


def question_settings(manifest: Manifest, settings: Settings) -> QuestionSettings:
    """Reads the settings of prompts, including the file of label descriptions.

    Raises:
        GraphError: the file cannot be read, or describes other labels.
    """
    configured, path = settings.question_settings, settings.teacher_label_descriptions
    if path is None:
        return configured
    described = read_label_descriptions(path, manifest.label_names)
    return replace(configured, prompts={**configured.prompts, "label_descriptions": described})


def build_identity_check(settings: Settings) -> IdentityCheck | None:
    if settings.teacher is None:
        return None
    name, key = settings.teacher_model, settings.teacher_key
    return IdentityCheck(settings.teacher_url, name, key, settings.teacher_seconds)


def add_gauges(
    metrics: Metrics, slot: Slot, batcher: Batcher, health: Health, link: RedisLink | None
) -> None:
    """Adds metrics read at scrape time, including those of a damaged engine."""

    def graph() -> GraphView:
        return slot.engine.writer.state.graph

    metrics.gauge("queue_nodes", "Unseen nodes waiting in the queue.", lambda: batcher.queued_nodes)
    metrics.gauge(
        "queue_tokens", "Estimated tokens waiting in the queue.", lambda: batcher.queued_tokens
    )
    metrics.gauge("ready", "1 while the service is ready.", lambda: float(health.ready), min)
    metrics.gauge(
        "graph_version",
        "Version of the graph: number of its changes.",
        lambda: graph().version.number,
        max,
    )
    metrics.gauge("graph_nodes", "Stored nodes.", lambda: graph().num_nodes, max)
    metrics.gauge("graph_edges", "Stored edges.", lambda: graph().num_edges, max)
    metrics.gauge(
        "log_lag_records",
        "Records of the log that are known but not applied yet.",
        lambda: slot.engine.lag.entries,
        max,
    )
    metrics.gauge(
        "log_lag_seconds",
        "Time since the whole log was last applied.",
        lambda: slot.engine.lag.seconds,
        max,
    )
    metrics.gauge(
        "stored_graph_version",
        "Graph version of the newest snapshot known to be stored; -1: none.",
        lambda: slot.engine.uploads.figures.number,
        max,
    )
    metrics.gauge(
        "snapshot_failures",
        "Snapshots that could not be stored since the bundle was loaded.",
        lambda: slot.engine.uploads.figures.failures,
    )
    metrics.gauge("log_lines_left_out", "Lines that standard error did not take.", lines_left_out)
    if link is not None:
        metrics.gauge("redis_up", "1 while Redis answers.", lambda: float(link.up), min)
