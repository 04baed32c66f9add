"""The service's settings, read once: flags, then environment, then a file, then defaults."""

from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.cache import CacheOptions
from service.compatible.upstream import UpstreamOptions
from service.http.access import RateLimit
from service.http.connections import WireLimits
from service.http.guard import Network, parse_hosts, parse_networks
from service.inference.batcher import BatchOptions
from service.setting_checks import check_settings
from service.setting_names import ENVIRONMENT_PREFIX, file_values, refuse_misread, wrong_setting
from service.teacher.measured import QuestionSettings
from service.teacher.teacher import TeacherOptions
from understudy.endpoint.options import ClientOptions, Constraint, Thinking, WireName
from understudy.engine.limits import Limits
from understudy.graph.log.streams.options import RedisLogOptions

DEFAULTS = Limits()
WIRE = WireLimits()
BATCHES = BatchOptions()
TEACHER = TeacherOptions()


class Settings(BaseSettings):
    """Settings; each is also a flag of `understudy serve` and a variable UNDERSTUDY_<FIELD>."""

    model_config = SettingsConfigDict(env_prefix=ENVIRONMENT_PREFIX, frozen=True, extra="forbid")
    check = field_validator("*", mode="before")(refuse_misread)

    settings_file: Path | None = Field(
        default=None, description="TOML file of settings, named as the flags, with underscores."
    )
    host: str = Field(default="127.0.0.1", description="Address to listen on.", min_length=1)
    port: int = Field(
        default=8000, description="Port to listen on; 0 picks a free one.", ge=0, le=65_535
    )
    workers: int = Field(default=1, description="Number of processes that serve on one port.", ge=1)
    grpc_port: int | None = Field(
        default=None,
        description="Port of the Open Inference Protocol over gRPC; 0 picks a free one.",
        ge=0,
        le=65_535,
    )
    mcp: bool = Field(default=False, description="Serve tools at /mcp (Model Context Protocol).")
    keys_file: Path | None = Field(
        default=None, description="File of accepted API keys, made with `understudy key`."
    )
    allow_remote_without_key: bool = Field(
        default=False, description="Listen beyond loopback without keys: anyone may send requests."
    )
    allowed_hosts: str = Field(
        default="", description="Further host names for requests without keys, comma-separated."
    )
    trusted_proxies: str = Field(
        default="",
        description="Comma-separated addresses or networks of proxies to trust (x-forwarded-for).",
    )
    root_path: str = Field(
        default="",
        description="Path under which a proxy publishes the service, such as /understudy.",
    )
    page: bool = Field(default=True, description="Serve the web page at /.")
    rate_limit: float = Field(
        default=0.0, description="Requests per second per key (or address); 0: no limit.", ge=0
    )
    rate_burst: int = Field(default=20, description="Requests allowed at once after a pause.", ge=1)
    threads: int = Field(default=1, description="Number of threads per inference.", ge=1)
    provider: Literal["cpu", "cuda"] = Field(default="cpu", description="Device for the networks.")
    max_body_bytes: int = Field(
        default=DEFAULTS.body_bytes, description="Maximum bytes of a body.", ge=1
    )
    max_nodes: int = Field(default=DEFAULTS.nodes, description="Maximum nodes per request.", ge=1)
    max_text_characters: int = Field(
        default=DEFAULTS.text_characters, description="Maximum characters of one node's text.", ge=1
    )
    max_neighbors: int = Field(
        default=DEFAULTS.neighbors, description="Maximum number of neighbours of one node.", ge=0
    )
    max_top_k: int = Field(
        default=DEFAULTS.top_k, description="Maximum labels in one prediction.", ge=1
    )
    max_explained_nodes: int = Field(
        default=DEFAULTS.explained_nodes, description="Maximum nodes explained per request.", ge=0
    )
    max_explained_neighbors: int = Field(
        default=DEFAULTS.explained_neighbors,
        description="Maximum neighbours per node that an explanation leaves out one by one.",
        ge=0,
    )
    max_explained_words: int = Field(
        default=DEFAULTS.explained_words,
        description="Maximum number of words per text that an explanation leaves out one by one.",
        ge=0,
    )
    max_mutations: int = Field(
        default=4_096, description="Maximum number of changes to the graph in one request.", ge=1
    )
    data_folder: Path | None = Field(
        default=None,
        description="Folder that keeps changes to the graph, outside the bundle; without it, "
        "changes are lost when the process ends.",
    )
    log: str = Field(
        default="",
        description="Redis that holds the log of changes, such as redis://host:6379/0, for several "
        "machines; by default the log is in the data folder, for one machine.",
        repr=False,
    )
    log_allow_loss: bool = Field(
        default=False, description="Accept a Redis for --log that may lose acknowledged changes."
    )
    log_wait_disk: bool = Field(
        default=False,
        description="Acknowledge changes once they are on disk of the log's Redis (WAITAOF).",
    )
    log_wait_replicas: int = Field(
        default=0, description="Replicas of the log's Redis that must confirm a change.", ge=0
    )
    log_records: int = Field(
        default=100_000,
        description="Records before the newest snapshot that Redis keeps for older snapshots.",
        ge=0,
    )
    log_bytes: int = Field(
        default=2**28,
        description="Maximum bytes of those records; the oldest are removed first.",
        ge=0,
    )
    snapshots: str = Field(
        default="",
        description="URL (fsspec) where replicas of a log store snapshots to start from.",
        repr=False,
    )
    max_lag_seconds: float | None = Field(
        default=None,
        description="Seconds behind the log until the service is not ready; default: no limit.",
        ge=2,
    )
    max_head_bytes: int = Field(
        default=WIRE.head_bytes, description="Maximum bytes of request line and headers.", ge=1_024
    )
    max_connections: int = Field(
        default=WIRE.connections, description="Maximum open connections.", ge=1
    )
    receive_seconds: float = Field(
        default=WIRE.receive_seconds, description="Seconds that a request may take to arrive.", gt=0
    )
    keep_alive_seconds: float = Field(
        default=WIRE.keep_alive_seconds,
        description="Seconds that an idle connection is kept open after an answer.",
        gt=0,
    )
    send_seconds: float = Field(
        default=WIRE.send_seconds,
        description="Seconds until the connection of a client that reads no answers is closed.",
        gt=0,
    )
    request_seconds: float = Field(
        default=30.0, description="Seconds that a request may take to be answered.", gt=0
    )
    batch_tokens: int = Field(
        default=BATCHES.batch_tokens, description="Maximum estimated tokens in one batch.", ge=1
    )
    batch_window_ms: float = Field(
        default=1_000 * BATCHES.window_seconds,
        description="Milliseconds that a batch waits for further nodes under load.",
        ge=0,
    )
    queue_tokens: int = Field(
        default=BATCHES.queue_tokens, description="Maximum estimated tokens in the queue.", ge=1
    )
    queue_seconds: float = Field(
        default=BATCHES.queue_seconds,
        description="Maximum estimated seconds that an unseen node waits; beyond, newest first.",
        gt=0,
    )
    redis_url: str = Field(
        default="", description="Redis for shared cache and limits, such as redis://host:6379/0."
    )
    redis_timeout_ms: float = Field(
        default=100.0, description="Milliseconds that one call to Redis may take.", gt=0
    )
    cache_memory_bytes: int = Field(
        default=CacheOptions().memory_bytes,
        description="Maximum bytes of the teacher's answers that are cached in memory.",
        ge=0,
    )
    cache_seconds: int = Field(
        default=CacheOptions().seconds, description="Seconds that a cached value lives.", ge=1
    )
    cached_embeddings: int = Field(
        default=10_000, description="Number of text embeddings kept in memory; 0: none.", ge=0
    )
    teacher_url: str = Field(
        default="", description="Teacher's OpenAI-compatible server, such as http://host:8001/v1."
    )
    teacher_model: str = Field(
        default="", description="Model name of the teacher; by default the bundle's, or `teacher`."
    )
    teacher_key: str = Field(default="", description="Bearer token for it.", repr=False)
    teacher_wire: WireName = Field(
        default="chat", description="API of the teacher: chat completions, or a decision endpoint."
    )
    teacher_constraint: Constraint = Field(
        default="auto", description="How the teacher is restricted to labels; auto: as it supports."
    )
    teacher_thinking: Thinking = Field(
        default="auto", description="How its thinking is disabled; wait: not; auto: as it supports."
    )
    teacher_seconds: float = Field(default=30.0, description="Seconds of one question.", gt=0)
    teacher_concurrency: int = Field(
        default=TEACHER.concurrency, description="Maximum questions to the teacher at once.", ge=1
    )
    teacher_hops: int | None = Field(
        default=None, description="Hops described in a prompt; by default the bundle's, or 2.", ge=0
    )
    teacher_tokens: int | None = Field(
        default=None,
        description="Maximum tokens per node in a prompt; by default the bundle's, or 380.",
        ge=8,
    )
    teacher_nested: bool | None = Field(
        default=None, description="Write a prompt hop by hop; by default as in the bundle."
    )
    teacher_input_price: float = Field(
        default=0.0, description="Price of a million tokens of prompts; 0: unknown.", ge=0
    )
    teacher_output_price: float = Field(
        default=0.0, description="Price of a million tokens of answers; 0: unknown.", ge=0
    )
    teacher_label_descriptions: Path | None = Field(
        default=None, description="File of label descriptions for the prompts, as given to `teach`."
    )
    auto_threshold: float | None = Field(
        default=None,
        description="Score from which auto trusts the student; default: the bundle's rule.",
        ge=0,
        le=1,
    )
    upstream_url: str = Field(
        default="", description="Upstream for requests below /v1 that the student cannot answer."
    )
    upstream_model: str = Field(
        default="", description="Upstream's model name; by default the one that the caller names."
    )
    upstream_key: str = Field(default="", description="Bearer token for it.", repr=False)
    upstream_seconds: float = Field(default=30.0, description="Seconds of one request.", gt=0)
    upstream_route: Literal["student", "auto"] = Field(
        default="student", description="auto: the upstream also gets what route auto would defer."
    )
    shadow_share: float = Field(
        default=0.0, description="Share of answers that the teacher checks as well.", ge=0, le=1
    )
    grace_seconds: float = Field(
        default=0.0, description="Seconds after SIGTERM of serving requests while not ready.", ge=0
    )
    drain_seconds: int = Field(
        default=30, description="Seconds that running requests have to finish at shutdown.", ge=0
    )
    probe_seconds: float = Field(
        default=10.0, description="Seconds for which a successful inference counts as ready.", ge=0
    )
    probe_timeout_seconds: float = Field(
        default=5.0, description="Seconds until a hanging inference counts as failed.", gt=0
    )
    log_level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="Lowest level logged."
    )
    log_format: Literal["json", "text"] = Field(default="json", description="Format of a log line.")
    log_requests: bool = Field(default=False, description="Log every answer, not only failures.")

    @property
    def limits(self) -> Limits:
        return Limits(
            body_bytes=self.max_body_bytes,
            nodes=self.max_nodes,
            text_characters=self.max_text_characters,
            neighbors=self.max_neighbors,
            top_k=self.max_top_k,
            explained_nodes=self.max_explained_nodes,
            explained_neighbors=self.max_explained_neighbors,
            explained_words=self.max_explained_words,
        )

    @property
    def wire(self) -> WireLimits:
        return WireLimits(
            head_bytes=self.max_head_bytes,
            connections=self.max_connections,
            receive_seconds=self.receive_seconds,
            keep_alive_seconds=self.keep_alive_seconds,
            send_seconds=self.send_seconds,
        )

    @property
    def hosts(self) -> tuple[str, ...]:
        return parse_hosts(self.allowed_hosts)

    @property
    def proxies(self) -> tuple[Network, ...]:
        """The trusted proxies; raises SettingsError if one is neither an address nor a network."""
        return parse_networks(self.trusted_proxies, "trusted_proxies")

    @property
    def redis_log(self) -> RedisLogOptions | None:
        if not self.log:
            return None
        return RedisLogOptions(
            url=self.log,
            allow_loss=self.log_allow_loss,
            wait_disk=self.log_wait_disk,
            wait_replicas=self.log_wait_replicas,
            records_kept=self.log_records,
            bytes_kept=self.log_bytes,
            snapshots=self.snapshots,
        )

    @property
    def batches(self) -> BatchOptions:
        return BatchOptions(
            self.batch_tokens,
            self.batch_window_ms / 1_000,
            self.queue_tokens,
            self.queue_seconds,
            self.most_waiting,
        )

    @property
    def most_waiting(self) -> int:
        """Waiting requests of one kind; most connections remain for requests answered at once."""
        return max(self.max_connections // 4, 1)

    @property
    def caches(self) -> CacheOptions:
        return CacheOptions(self.cache_memory_bytes, self.cache_seconds)

    @property
    def rate(self) -> RateLimit | None:
        return RateLimit(self.rate_limit, self.rate_burst) if self.rate_limit else None

    @property
    def question_settings(self) -> QuestionSettings:
        """What the settings specify about the teacher's prompts."""
        prompts = {"tokens": self.teacher_tokens, "nested": self.teacher_nested}
        set_here = {name: value for name, value in prompts.items() if value is not None}
        return QuestionSettings(self.teacher_hops, set_here)

    @property
    def upstream(self) -> UpstreamOptions | None:
        if not self.upstream_url:
            return None
        return UpstreamOptions(
            self.upstream_url,
            self.upstream_key,
            self.upstream_model,
            self.upstream_seconds,
            requests=self.most_waiting,
        )

    @property
    def teacher(self) -> ClientOptions | None:
        if not self.teacher_url:
            return None
        return ClientOptions(
            url=self.teacher_url,
            model=self.teacher_model or "teacher",
            key=self.teacher_key,
            constraint=self.teacher_constraint,
            thinking=self.teacher_thinking,
            timeout_seconds=self.teacher_seconds,
            connections=self.teacher_concurrency,
            exact=True,
            wire=self.teacher_wire,
        )


def load_settings(**flags: Any) -> Settings:
    """Reads the environment and the file; a flag that is not None takes precedence.

    Raises:
        SettingsError: a value is wrong (the message names the setting), or the host is not
            loopback and that is not allowed.
    """
    flag_values = {name: value for name, value in flags.items() if value is not None}
    try:
        settings = Settings(**{**file_values(flag_values, Settings.model_fields), **flag_values})
    except ValidationError as error:
        raise wrong_setting(error) from error
    check_settings(settings)
    return settings
