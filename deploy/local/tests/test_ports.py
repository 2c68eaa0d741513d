"""Ports are claimed before anybody listens on them."""

import os
import socket
import subprocess
import sys
import tempfile
from pathlib import Path

from local_stack.ports import ANY, claim, claim_any

OTHER = "import sys; from local_stack.ports import claim; print(claim(int(sys.argv[1])))"


def claimed_by_another_program(wanted: int, **environment: str) -> int:
    command = [sys.executable, "-c", OTHER, str(wanted)]
    return int(subprocess.run(command, env={**os.environ, **environment}, capture_output=True, check=True).stdout)


def test_a_claimed_port_is_nobody_elses_even_while_nobody_listens_on_it() -> None:
    port = claim_any()
    assert port >= ANY.start
    assert claim(port) > port
    assert claimed_by_another_program(port) > port


def test_a_port_that_somebody_listens_on_without_a_claim_is_passed_over() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
        assert claim(port) > port


def test_who_ends_gives_its_ports_back() -> None:
    port = claimed_by_another_program(claim_any() + 1)
    assert claim(port) == port


def test_a_claim_holds_for_every_user_of_the_machine_and_leaves_no_file(tmp_path: Path) -> None:
    before = set(Path(tempfile.gettempdir()).glob("preau-ports*"))
    port = claim_any()
    assert claimed_by_another_program(port, TMPDIR=str(tmp_path)) > port  # with nothing in common but the kernel
    assert set(Path(tempfile.gettempdir()).glob("preau-ports*")) == before
