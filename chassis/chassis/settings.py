"""Settings from the environment, or from files under /run/secrets; validated before the program starts.

Files under /run/set-up take precedence: they exist only for ``migrate``, which needs more rights.
"""

import sys
from pathlib import Path
from typing import Annotated, TypeVar

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from chassis.transport import checked_broker_url, checked_database_url

SECRETS_FOLDERS = tuple(folder for folder in (Path("/run/secrets"), Path("/run/set-up")) if folder.is_dir())

Settings = TypeVar("Settings", bound=BaseSettings)


class EdgeSettings(BaseSettings):
    """The settings of every program. Times are in seconds, sizes in bytes.

    ``METRICS_PORT`` serves Prometheus metrics; unset, there are none. On SIGTERM a program becomes not ready, serves
    ``DRAIN_SECONDS`` longer, so that load balancers move to other replicas, and gives requests in flight
    ``SHUTDOWN_SECONDS``. ``OTEL_EXPORTER_OTLP_ENDPOINT`` receives traces, ``OTEL_TRACES_SAMPLER_ARG`` is the share
    that is kept, and ``OTEL_EXPORTER_OTLP_HEADERS`` has further headers for the collector, such as
    ``authorization=Bearer%20…``: a secret, comma-separated, URL-encoded values.
    """

    model_config = SettingsConfigDict(
        extra="ignore", frozen=True, secrets_dir=SECRETS_FOLDERS or None, env_ignore_empty=True
    )

    amqp_url: Annotated[str, AfterValidator(checked_broker_url)] = Field(pattern=r"^amqps?://", repr=False)
    auth_url: str = Field(pattern=r"^https?://")
    http_host: str = "127.0.0.1"
    http_port: int = Field(ge=0, le=65_535)
    metrics_port: int | None = Field(default=None, ge=1, le=65_535)
    log_level: str = Field(default="INFO", pattern="^(DEBUG|INFO|WARNING|ERROR)$")
    body_bytes_max: int = Field(default=1_048_576, gt=0)
    request_seconds_max: float = Field(default=15, gt=0)
    queue_timeout_seconds: float = Field(default=50, gt=0)
    concurrent_requests_max: int = Field(default=1_500, gt=0)
    connections_max: int = Field(default=8_192, ge=64)
    shutdown_seconds: float = Field(default=10, gt=0)
    drain_seconds: float = Field(default=0, ge=0, le=20)
    otel_exporter_otlp_endpoint: str | None = Field(default=None, pattern=r"^https?://")
    otel_exporter_otlp_headers: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9-]+=[^,\s]+(,[A-Za-z0-9-]+=[^,\s]+)*$", repr=False
    )
    otel_traces_sampler_arg: float = Field(default=1, ge=0, le=1)

    @property
    def is_met_by_clients(self) -> bool:
        """Whether clients connect to this program directly, so that a peer address is theirs."""
        return False


class ServiceSettings(EdgeSettings):
    """The settings of a service with a database. ``DATABASE_URL`` may name several servers, ``host:port`` separated by
    commas; the one that accepts writes is used.

    Published events and answers of idempotency keys are kept ``EVENTS_KEPT_DAYS``, the records of handled events twice
    as long.
    """

    database_url: Annotated[str, AfterValidator(checked_database_url)] = Field(pattern=r"^postgres(ql)?://", repr=False)
    database_connections_max: int = Field(default=10, gt=1, le=100)
    retry_delays_seconds: tuple[float, ...] = Field(default=(10, 60, 600), min_length=1, max_length=6)
    deliveries_max: int = Field(default=12, gt=0)
    events_kept_days: int = Field(default=30, ge=1)


class SetUpSettings(BaseSettings):
    """The settings of ``migrate`` only.

    ``MIGRATION_DATABASE_URL`` is the service's database as the role that owns its tables. ``DATABASE_URL``, as which
    the program runs, names another role, which ``migrate`` grants what it needs.
    """

    model_config = SettingsConfigDict(
        extra="ignore", frozen=True, secrets_dir=SECRETS_FOLDERS or None, env_ignore_empty=True
    )

    migration_database_url: Annotated[str, AfterValidator(checked_database_url)] = Field(
        pattern=r"^postgres(ql)?://", repr=False
    )


def load(settings: type[Settings]) -> Settings:
    """Read and validate the settings; exit with status 2 and one line for each that is missing or invalid."""
    try:
        return settings()
    except ValidationError as error:
        for problem in error.errors():
            name = "_".join(str(part) for part in problem["loc"]).upper()
            sys.stderr.write(f"setting {name}: {problem['msg']}\n")
        raise SystemExit(2) from None
