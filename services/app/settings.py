"""Every setting, once: defaults here, then one YAML file, then LATENTSPACE_* variables.

`LATENTSPACE_LISTEN=0.0.0.0:50051`, `LATENTSPACE_LIMITS__MAX_ITEMS=1024`: two underscores lead
into a group. Units stand in the names.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal
from urllib.parse import urlsplit

import yaml
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
)
from pydantic_settings import (
    BaseSettings,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)
from pydantic_settings import (
    SettingsError as PydanticSettingsError,
)

from index.options import DEVICE_PATTERN

DEFAULT_LISTEN = "127.0.0.1:50051"


class SettingsError(Exception):
    """The settings cannot be read; names file, setting and cure."""


class ModelSettings(BaseModel):
    """One model."""

    model_config = ConfigDict(extra="forbid")

    family: str = Field(description="word2vec, node2vec, sentence, hash, or a plug-in's")
    source: str = Field(
        default="", description="path, hub name or packaged name; empty: the family's own"
    )
    options: dict[str, Any] = Field(default_factory=dict, description="the family's own options")
    preload: bool = Field(default=True, description="load before the port opens")


class Limits(BaseModel):
    """What one call may ask, and what may wait."""

    model_config = ConfigDict(extra="forbid")

    max_message_mib: int = Field(
        default=64, ge=1, le=1024, description="largest message, both ways"
    )
    max_items: int = Field(default=8192, ge=1, description="inputs, points or ids of one call")
    max_queries: int = Field(default=32_768, ge=1, description="queries or questions of one call")
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
        pattern=rf"^({DEVICE_PATTERN})$",
        description="cpu, or cuda:0 for segments on a GPU (needs the extra gpu in place of cpu)",
    )
    memory_mib: int = Field(
        default=0,
        ge=0,
        description="what the recipe auto may take for one collection's index; 0: no limit",
    )


class LogSettings(BaseModel):
    """How the server speaks."""

    model_config = ConfigDict(extra="forbid")

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["text", "json"] = "text"


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
        env_prefix="LATENTSPACE_", env_nested_delimiter="__", extra="forbid"
    )

    listen: str = Field(default=DEFAULT_LISTEN, description="HOST:PORT; port 0 takes a free one")
    data_dir: Path = Field(
        default=Path("~/.local/share/latentspace"),
        description="collections and catalogue live here",
    )
    models: dict[str, ModelSettings] = Field(default_factory=embedded_models)
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

    @field_validator("listen", "metrics_listen")
    @classmethod
    def _host_and_port(cls, value: str, info: ValidationInfo) -> str:
        if not value and info.field_name == "metrics_listen":
            return value
        host, _, port = value.rpartition(":")
        if not host or not port.isdigit() or int(port) > 65_535:
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


def load_settings(
    config: Path | None = None, overrides: Mapping[str, Any] | None = None
) -> Settings:
    """Settings of a YAML file, then variables, then command-line options (None: not given).

    Raises:
        SettingsError: a file that cannot be read, an unknown setting or an unfit value.
    """
    file = read_yaml(config)

    class Loaded(Settings):
        @classmethod
        def settings_customise_sources(
            cls,
            settings_cls: type[BaseSettings],
            init_settings: PydanticBaseSettingsSource,
            env_settings: PydanticBaseSettingsSource,
            dotenv_settings: PydanticBaseSettingsSource,
            file_secret_settings: PydanticBaseSettingsSource,
        ) -> tuple[PydanticBaseSettingsSource, ...]:
            return init_settings, env_settings, InitSettingsSource(settings_cls, file)

    try:
        return Loaded(**{k: v for k, v in (overrides or {}).items() if v is not None})
    except (ValidationError, PydanticSettingsError) as error:
        raise SettingsError(explain(error, config)) from error


def read_yaml(config: Path | None) -> dict[str, Any]:
    """The mapping of a YAML file; {} of none.

    Raises:
        SettingsError
    """
    if config is None:
        return {}
    try:
        found = yaml.safe_load(config.read_text()) or {}
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SettingsError(f"cannot read {config}: {error}") from error
    if not isinstance(found, dict):
        raise SettingsError(f"{config}: a mapping of settings is wanted, such as `listen: ...`")
    return found


def explain(error: ValidationError | PydanticSettingsError, config: Path | None) -> str:
    """One line a fault, with the name of its setting."""
    where = f"{config} or LATENTSPACE_*" if config else "LATENTSPACE_* or the options"
    if not isinstance(error, ValidationError):
        return f"settings ({where}) do not fit: {error}"
    faults = [
        f"  {'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}"
        for fault in error.errors()
    ]
    return "\n".join([f"settings ({where}) do not fit:", *faults])
