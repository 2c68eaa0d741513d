"""Settings come from the environment, or from files under /run/secrets; checked before anything starts.

Set-up may have more rights than the program that runs: what is under /run/set-up goes first.
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
    """What every program needs. Times are in seconds, sizes in bytes.

    ``METRICS_PORT`` is where Prometheus reads ``/metrics``; without it there is none. Asked to end (SIGTERM), a program
    is not ready any more, serves ``DRAIN_SECONDS`` longer, for whatever stands before several replicas to turn to the
    others, and gives what is then in flight ``SHUTDOWN_SECONDS``.
    ``OTEL_EXPORTER_OTLP_ENDPOINT`` is where traces go, ``OTEL_TRACES_SAMPLER_ARG`` which share of them is kept, and
    ``OTEL_EXPORTER_OTLP_HEADERS`` what the collector wants to be told besides, such as ``authorization=Bearer%20…``:
    a secret, names and values by commas, signs that are special in a URL as there.
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
        """Whether clients connect to this program themselves, so that an address at the other end is one of theirs."""
        return False


class ServiceSettings(EdgeSettings):
    """What a service with a database needs besides. ``DATABASE_URL`` may name several servers, ``host:port`` by commas:
    the one that takes writes is used.

    Published events are kept ``EVENTS_KEPT_DAYS``, and so are answers given to idempotency keys; which events were
    heard, twice as long.
    """

    database_url: Annotated[str, AfterValidator(checked_database_url)] = Field(pattern=r"^postgres(ql)?://", repr=False)
    database_connections_max: int = Field(default=10, gt=1, le=100)
    retry_delays_seconds: tuple[float, ...] = Field(default=(10, 60, 600), min_length=1, max_length=6)
    deliveries_max: int = Field(default=12, gt=0)
    events_kept_days: int = Field(default=30, ge=1)


class SetUpSettings(BaseSettings):
    """What ``migrate`` alone needs.

    ``MIGRATION_DATABASE_URL`` is the service's database as the role that owns its tables; ``DATABASE_URL``, as which
    the program runs, names another role, which is granted what it needs.
    """

    model_config = SettingsConfigDict(
        extra="ignore", frozen=True, secrets_dir=SECRETS_FOLDERS or None, env_ignore_empty=True
    )

    migration_database_url: Annotated[str, AfterValidator(checked_database_url)] = Field(
        pattern=r"^postgres(ql)?://", repr=False
    )


def load(settings: type[Settings]) -> Settings:
    """Read and check the settings, or leave with status 2 and one line for each that is missing or wrong."""
    try:
        return settings()
    except ValidationError as error:
        for problem in error.errors():
            name = "_".join(str(part) for part in problem["loc"]).upper()
            sys.stderr.write(f"setting {name}: {problem['msg']}\n")
        raise SystemExit(2) from None
