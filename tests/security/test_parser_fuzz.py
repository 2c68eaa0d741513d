"""What comes from outside and no bank sends: files of families, reports of mail servers, headers of browsers.

Half of it is noise, half nearly right. ``FUZZ`` says how many of each. The banks' own parsers are fuzzed beside them,
in ``services/payment-gateway/tests``.
"""

import os
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from auth.domain import families_file
from contracts.user_agents import browser_and_system
from gateway.forms.month import TICKS_MAX, parse_ticks
from gateway.pages.shared.language import preferred
from gateway.pages.shared.return_path import local_path
from notifier.domain.bounces import TEXT_MAX, read_bounce
from payment_gateway.domain import remittances

MANY = settings(max_examples=int(os.environ.get("FUZZ", "300")))
TEXT = st.text(max_size=60)

pytestmark = [pytest.mark.drill, pytest.mark.timeout(7_200)]


def near(*words: str) -> st.SearchStrategy[str]:
    """Such a text, or anything."""
    return st.sampled_from(words) | TEXT


def table(columns: tuple[str, ...], *words: str) -> st.SearchStrategy[bytes]:
    """Noise, or the lines of a spreadsheet under such a head, in either encoding."""
    cell = near(*words, "", "=1+1", "'", '"', ";")
    lines = st.lists(st.lists(cell, max_size=len(columns) + 2).map(";".join), max_size=6)
    head = st.just(columns) | st.permutations(columns) | st.lists(st.sampled_from(columns), max_size=len(columns))
    text = st.builds(lambda titles, rest: "\n".join([";".join(titles), *rest]), head, lines)
    encoded = st.builds(
        lambda whole, code: whole.encode(code, "replace"), text, st.sampled_from(("utf-8-sig", "cp1252"))
    )
    return st.binary(max_size=300) | encoded


FAMILY = (
    "F1",
    "Dupont",
    "31/02/2018",
    "03/10/2018",
    "00000",
    "free",
    "semaines paires",
    "a@b.fr",
    "du 01/09/2026 au x",
)
LINE = ("2026-12-01", "01/12/2026", "42,50", "-1 042,50", "1e9", "C", "débit", "0123456789ABCDEF")


@MANY
@given(table(families_file.COLUMNS, *FAMILY))
def test_a_file_of_families_is_read_or_refused_by_line_and_what_was_read_can_be_written(content: bytes) -> None:
    found = families_file.read(content)
    assert found.errors or found.households
    again = families_file.read(families_file.write(found.households))
    assert not found.households or again.households == found.households


@MANY
@given(table(tuple(remittances.COLUMNS), *LINE), st.sampled_from(remittances.StatementSource))
def test_a_statement_of_a_bank_is_lines_or_errors(content: bytes, source: remittances.StatementSource) -> None:
    lines, errors = remittances.read(content, source)
    assert lines or errors


HEADERS = ("Content-Type: message/delivery-status", "Content-Type: multipart/report; boundary=b", "--b", "--b--", "")
HEADERS += ("Content-Type: message/rfc822", "Content-Type: text/rfc822-headers", "Content-Transfer-Encoding: base64")
HEADERS += ("Action: failed", "Status: 5.1.1", "Diagnostic-Code: smtp; =?utf-8?q?=00?=", " folded", "Content-Type: ;;=")
HEADERS += ("Message-ID: <0b0f3b1e-9d0c-4b43-8f5a-3f2f5a0d8c11@x>", "Content-Type: text/plain; charset=none")


@MANY
@given(st.binary(max_size=300) | st.lists(near(*HEADERS).map(str.encode) | st.binary(max_size=20)).map(b"\r\n".join))
def test_a_report_of_a_mail_server_is_a_line_that_a_database_takes_or_none(raw: bytes) -> None:
    found = read_bounce(raw)
    if found is not None:
        assert len(found.diagnostic) <= TEXT_MAX
        assert "\0" not in found.status + found.diagnostic
        (found.status + found.diagnostic).encode()


@pytest.mark.parametrize(
    "nested", ["Content-Type: message/rfc822\r\n\r\n", "Content-Type: multipart/mixed; boundary=b{0}\r\n\r\n--b{0}\r\n"]
)
def test_a_report_of_parts_within_parts_is_none(nested: str) -> None:
    """Anybody can send one; the parser would go as deep as it does, and fall."""
    deep = "".join(nested.format(number) for number in range(2_000))
    assert read_bounce(f"{deep}Content-Type: message/delivery-status\r\n\r\nAction: failed\r\n".encode()) is None


READERS: dict[str, Callable[[str], Any]] = {
    "Accept-Language": preferred,
    "User-Agent": browser_and_system,
    "vers": local_path,
    "coches": parse_ticks,
}


@pytest.mark.parametrize("name", READERS)
@MANY
@given(st.text(max_size=200) | st.text("0123456789._-,;q=/\\:%frend \t", max_size=9_000))
def test_whatever_a_browser_says_of_itself_breaks_nothing(name: str, said: str) -> None:
    READERS[name](said)


@MANY
@given(
    near("//x", "/\\x", "/a?b=c", "https://x", "/\t/x", "javascript:x").flatmap(
        lambda text: st.just(text) | TEXT.map(text.__add__)
    )
)
def test_no_address_leads_elsewhere(said: str) -> None:
    path = local_path(said)
    assert path.startswith("/")
    assert not path.startswith(("//", "/\\"))
    assert path.isprintable()


@pytest.mark.parametrize("said", ["a." + "9" * 5_000 + ".1", "a.٣.1", "_" * 9_000])
def test_ticks_that_nobody_made_are_left_out(said: str) -> None:
    assert len(parse_ticks(said)) <= TICKS_MAX
    assert not any(day > 31 for _, day in parse_ticks(said))
