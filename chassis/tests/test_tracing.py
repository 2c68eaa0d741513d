"""Traces that nobody wants cost nothing; those that somebody wants are the story of tests/faults/test_observed.py."""

import subprocess
import sys

from chassis import tracing
from chassis.tracing import Kind


def test_without_a_collector_there_is_no_span_no_header_and_nothing_to_keep() -> None:
    with tracing.span("work", Kind.INTERNAL) as span, tracing.continued("00-aa-bb-01", "more", Kind.SERVER) as more:
        assert span is more is tracing.NOTHING
        assert tracing.traceparent() is None
        assert tracing.headers() == {}
        assert tracing.add_trace_id(None, "info", {"event": "said"}) == {"event": "said"}


def test_without_a_collector_the_library_is_not_even_loaded() -> None:
    programs = ["auth", "planning", "billing", "payment_gateway", "notifier", "gateway"]
    imports = "".join(f"import {each}.__main__\n" for each in programs)
    code = f"import sys\n{imports}sys.exit(any(name.startswith('opentelemetry') for name in sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
