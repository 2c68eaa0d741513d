"""The database and broker of all runs: for each line it reads, a line of JSON that says where they are."""

import json
import shutil
import sys
import tempfile
from pathlib import Path

from local_stack.postgres import PostgresServer
from local_stack.testing import Servers

HOSTS = 40


def main() -> None:
    """``database`` or ``broker``, line by line; the servers end with the input."""
    folder = Path(tempfile.mkdtemp(prefix="preau-mutants-"))
    folder.chmod(0o711)
    servers = Servers(folder)
    for payload in sys.stdin:
        server: PostgresServer = servers.postgres
        hosts = servers.amqp_urls(HOSTS) if payload.strip() == "broker" else []
        sys.stdout.write(json.dumps({"port": server.port, "password": server.password, "hosts": hosts}) + "\n")
        sys.stdout.flush()
    servers.stop()
    shutil.rmtree(folder, ignore_errors=True)


if __name__ == "__main__":
    main()
