"""Logs: JSON lines on standard error, each with the correlation id of its request or message."""

import io
import logging
import sys
from typing import TextIO, cast
from uuid import uuid4

import structlog
from structlog.typing import EventDict, Processor, WrappedLogger

from chassis.tracing import add_trace_id

# Without local variables: they hold secrets, sessions and people's data.
_TRACEBACKS = structlog.processors.ExceptionRenderer(structlog.tracebacks.ExceptionDictTransformer(show_locals=False))


class _StandardError(io.TextIOBase):
    """Writes to ``sys.stderr`` as it is when a line is written; a stream kept from earlier may be closed."""

    def write(self, text: str) -> int:
        return sys.stderr.write(text)

    def flush(self) -> None:
        sys.stderr.flush()


def _service(name: str) -> Processor:
    def add(_logger: WrappedLogger, _method: str, event: EventDict) -> EventDict:
        event["service"] = name
        return event

    return add


def configure(service: str, level: str) -> None:
    """Send structlog and the standard library's logging to one JSON stream."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        add_trace_id,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        _service(service),
    ]
    rendered: list[Processor] = [_TRACEBACKS, structlog.processors.JSONRenderer()]
    structlog.configure(
        processors=[*shared, *rendered],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.WriteLoggerFactory(cast(TextIO, _StandardError())),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(_StandardError())
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.add_logger_name],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered],
        )
    )
    logging.basicConfig(handlers=[handler], level=level, force=True)
    for noisy in ("aio_pika", "aiormq", "asyncio"):
        logging.getLogger(noisy).setLevel(max(logging.getLevelName(level), logging.WARNING))


def bind_correlation_id(value: str) -> None:
    """Bind ``value`` to the log lines and events of this task."""
    structlog.contextvars.bind_contextvars(correlation_id=value)


def correlation_id() -> str:
    """The id of the current request or message; a new one without any."""
    found = structlog.contextvars.get_contextvars().get("correlation_id")
    return str(found) if found else uuid4().hex
