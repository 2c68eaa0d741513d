"""Log lines go to whatever standard error is when they are written."""

import contextlib
import io
import logging

import structlog

from chassis import logs


def test_a_line_is_written_although_the_stream_of_the_start_is_closed() -> None:
    first, second = io.StringIO(), io.StringIO()
    with contextlib.redirect_stderr(first):
        logs.configure("test", "WARNING")
        logger = structlog.get_logger()
        logger.warning("one")
    first.close()
    with contextlib.redirect_stderr(second):
        logger.warning("two")
        logging.getLogger("library").warning("three")
    assert [word in second.getvalue() for word in ("one", "two", "three")] == [False, True, True]
