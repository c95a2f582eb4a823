"""Every setting, once: its name, its type, its default, what it means.

`docs/settings.md` is made from this file by `scripts/generate_settings_page.py`. Units stand in
the names.
"""

import re
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from index.options import DEVICE_PATTERN

DEFAULT_LISTEN = "127.0.0.1:50051"
PREFIX, DELIMITER = "LATENTSPACE_", "__"


class ModelSettings(BaseModel):
    """One model."""

    model_config = ConfigDict(extra="forbid")

    family: str = Field(
        description="word2vec, node2vec, sentence, clip, face, hash, or a plug-in's"
    )
    source: str = Field(
        default="", description="path, hub name or packaged name; empty: the family's own"
    )
    options: dict[str, Any] = Field(default_factory=dict, description="the family's own options")
    preload: bool = Field(default=True, description="load at the start, before calls are answered")
    required: bool = Field(
        default=False,
        description="the server does not start without it; otherwise it starts, and the model is"
        " failed, with its reason",
    )


class Limits(BaseModel):
    """What one call may ask, and what may wait."""

    model_config = ConfigDict(extra="forbid")

    max_message_mib: int = Field(
        default=64, ge=1, le=1024, description="largest message, both ways"
    )
    max_items: int = Field(default=8192, ge=1, description="inputs, points or ids of one call")
    max_queries: int = Field(default=32_768, ge=1, description="queries or questions of one call")
    search_mib: int = Field(
        default=256,
        ge=1,
        description="what the hits of one search may take, at 160 bytes each, vectors beside them",
    )
    batch_items: int = Field(default=64, ge=1, description="items of one forward pass")
    batch_cost: int = Field(
        default=16_384,
        ge=1,
        description="tokens of one forward pass; 16 x 16 pixels of an image count as one",
    )
    queue_cost: int = Field(
        default=1_048_576, ge=1, description="tokens, or patches of images, that may wait"
    )
    queue_s: float = Field(
        default=5.0, gt=0, description="nor may more wait than is done in so long, as measured"
    )


class IndexSettings(BaseModel):
    """How collections are kept."""

    model_config = ConfigDict(extra="forbid")

    seal_rows: int = Field(
        default=32_768,
        ge=1,
        description="new rows are searched exactly until they are so many, then sealed",
    )
    device: str = Field(
        default="cpu",
        description="cpu, or cuda:0 for segments on a GPU (needs the extra gpu in place of cpu)",
    )
    memory_mib: int = Field(
        default=0,
        ge=0,
        description="what the recipe auto may take for one collection's index; 0: no limit",
    )

    @field_validator("device")
    @classmethod
    def _device(cls, value: str) -> str:
        if not re.fullmatch(DEVICE_PATTERN, value):
            raise ValueError(f"{value!r} is not cpu, nor a GPU by its number, such as cuda:0")
        return value


class LogSettings(BaseModel):
    """How the server speaks."""

    model_config = ConfigDict(extra="forbid")

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="the least of what is told"
    )
    format: Literal["text", "json"] = Field(
        default="text", description="text for people, json for one object a line and nothing else"
    )


class CacheSettings(BaseModel):
    """Where rows that were made before are kept; lookup models are never cached."""

    model_config = ConfigDict(extra="forbid")

    memory_mib: int = Field(default=64, ge=0, description="in this process's memory; 0: none")
    searches_mib: int = Field(
        default=0, ge=0, description="results of searches, in this process's memory; 0: none"
    )
    redis_url: SecretStr = Field(
        default=SecretStr(""),
        description="redis://HOST:PORT/DB, rediss:// for TLS, unix://PATH; empty: no Redis",
    )
    ttl_s: int = Field(default=604_800, ge=1, description="what Redis keeps a row for")
    timeout_s: float = Field(
        default=0.05, gt=0, description="what a Redis that does not answer costs, once"
    )
    retry_s: float = Field(
        default=1.0, gt=0, description="from one look whether it answers again to the next"
    )
    connections: int = Field(default=4, ge=1, description="lookups in Redis side by side")
    write_mib: int = Field(default=32, ge=1, description="rows that may wait to be written")

    @field_validator("redis_url")
    @classmethod
    def _of_redis(cls, value: SecretStr) -> SecretStr:
        # what is wrong is said without the URL: it may hold a password
        if value and not is_redis_url(value.get_secret_value()):
            raise ValueError("not redis://HOST:PORT/DB, rediss://HOST:PORT/DB or unix://PATH")
        return value


def is_redis_url(url: str) -> bool:
    """Whether a URL names a Redis."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        return False
    if parts.scheme == "unix":
        return bool(parts.path)
    return parts.scheme in ("redis", "rediss") and bool(parts.hostname) and port != 0


class HealthSettings(BaseModel):
    """How the service watches itself."""

    model_config = ConfigDict(extra="forbid")

    interval_s: float = Field(
        default=5.0, gt=0, description="from a canary's answer to the next canary"
    )
    timeout_s: float = Field(
        default=10.0, gt=0, description="a canary, or a batch, that takes longer is illness"
    )


class TracingSettings(BaseModel):
    """OpenTelemetry; needs the extra tracing."""

    model_config = ConfigDict(extra="forbid")

    endpoint: str = Field(
        default="", description="OTLP over gRPC, such as http://localhost:4317; empty: no traces"
    )
    ratio: float = Field(
        default=1.0, ge=0, le=1, description="part of the calls without a caller's trace"
    )


def embedded_models() -> dict[str, ModelSettings]:
    """The embedded default: models that need no download."""
    return {
        "words": ModelSettings(family="word2vec"),
        "sentences": ModelSettings(family="sentence"),
        "nodes": ModelSettings(family="node2vec"),
        "clip": ModelSettings(family="clip"),
        "faces": ModelSettings(family="face"),
    }


class Settings(BaseSettings):
    """Settings of one server."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, env_nested_delimiter=DELIMITER, extra="forbid"
    )

    listen: str = Field(default=DEFAULT_LISTEN, description="HOST:PORT; port 0 takes a free one")
    data_dir: Path = Field(
        default=Path("~/.local/share/latentspace"),
        description="collections and catalogue live here",
    )
    models: dict[str, ModelSettings] = Field(
        default_factory=embedded_models, description="models by their names"
    )
    limits: Limits = Limits()
    index: IndexSettings = IndexSettings()
    log: LogSettings = LogSettings()
    cache: CacheSettings = CacheSettings()
    health: HealthSettings = HealthSettings()
    tracing: TracingSettings = TracingSettings()
    roots: list[Path] = Field(
        default_factory=list,
        description="folders whose files imports, training and evaluation may read; none: refused",
    )
    cores: int = Field(default=0, ge=0, description="CPU budget of all work; 0: every core")
    drain_s: float = Field(default=20.0, ge=0, description="grace for running calls after SIGTERM")
    metrics_listen: str = Field(
        default="", description="HOST:PORT of Prometheus /metrics over HTTP; empty: none"
    )
    reflection: bool = Field(default=True, description="serve gRPC reflection")

    @field_validator("listen", "metrics_listen", mode="before")
    @classmethod
    def _host_and_port(cls, value: object, info: ValidationInfo) -> object:
        if not value and info.field_name == "metrics_listen":
            return ""
        host, _, port = str(value).rpartition(":")
        if not host or not port.isdecimal() or int(port) > 65_535:
            raise ValueError(f"{value!r} is not HOST:PORT, such as {DEFAULT_LISTEN}")
        return value

    @field_validator("data_dir")
    @classmethod
    def _absolute(cls, value: Path) -> Path:
        return value.expanduser().absolute()

    @field_validator("roots")
    @classmethod
    def _absolute_roots(cls, value: list[Path]) -> list[Path]:
        return [root.expanduser().absolute() for root in value]

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Only what `layers` has merged: it knows where each value comes from."""
        return (init_settings,)
