"""The service's settings: flags before environment before defaults, read once, at entry."""

import ipaddress
from typing import Any, Literal

from pydantic import Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from service.errors import SettingsError
from service.limits import Limits

ENVIRONMENT_PREFIX = "UNDERSTUDY_"
DEFAULTS = Limits()


class Settings(BaseSettings):
    """Each field is also a flag of `understudy serve` and a variable UNDERSTUDY_<FIELD>."""

    model_config = SettingsConfigDict(env_prefix=ENVIRONMENT_PREFIX, frozen=True, extra="forbid")

    host: str = Field(default="127.0.0.1", description="Address to listen on.", min_length=1)
    port: int = Field(
        default=8000, description="Port to listen on; 0 picks a free one.", ge=0, le=65_535
    )
    allow_remote_without_key: bool = Field(
        default=False, description="Listen beyond loopback although anybody there may then ask."
    )
    threads: int = Field(default=1, description="Threads of one inference.", ge=1)
    provider: Literal["cpu", "cuda"] = Field(default="cpu", description="What runs the networks.")
    max_body_bytes: int = Field(default=DEFAULTS.body_bytes, description="Bytes of one body.", ge=1)
    max_nodes: int = Field(default=DEFAULTS.nodes, description="Nodes of one request.", ge=1)
    max_text_characters: int = Field(
        default=DEFAULTS.text_characters, description="Characters of one node's text.", ge=1
    )
    max_neighbors: int = Field(
        default=DEFAULTS.neighbors, description="Neighbors of one node.", ge=0
    )
    max_top_k: int = Field(default=DEFAULTS.top_k, description="Labels of one prediction.", ge=1)
    drain_seconds: int = Field(
        default=30, description="Seconds that running requests get to finish at the end.", ge=0
    )
    probe_seconds: float = Field(
        default=10.0,
        description="Seconds for which a passed inference vouches for readiness.",
        ge=0,
    )
    probe_timeout_seconds: float = Field(
        default=5.0, description="Seconds after which a hanging inference is not ready.", gt=0
    )

    @property
    def limits(self) -> Limits:
        return Limits(
            body_bytes=self.max_body_bytes,
            nodes=self.max_nodes,
            text_characters=self.max_text_characters,
            neighbors=self.max_neighbors,
            top_k=self.max_top_k,
        )


def load_settings(**flags: Any) -> Settings:
    """Reads the environment; a flag that is not None goes before it.

    Raises:
        SettingsError: a value is wrong (the message names the setting), or the host lies beyond
            loopback without leave.
    """
    try:
        settings = Settings(**{name: value for name, value in flags.items() if value is not None})
    except ValidationError as error:
        first = error.errors()[0]
        name = str(first["loc"][0])
        raise SettingsError(
            f"{flag_name(name)} or {ENVIRONMENT_PREFIX}{name.upper()} is "
            f"{first['input']!r}: {first['msg']}",
            setting=name,
        ) from error
    if not is_loopback(settings.host) and not settings.allow_remote_without_key:
        raise SettingsError(
            f"{settings.host} can be reached from other machines and nobody would need a key; "
            "listen on 127.0.0.1, or say --allow-remote-without-key",
            setting="host",
        )
    return settings


def flag_name(setting: str) -> str:
    return "--" + setting.replace("_", "-")


def is_loopback(host: str) -> bool:
    """Whether only this machine reaches the address; a name other than localhost may not."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"
