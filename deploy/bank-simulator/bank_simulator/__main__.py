"""``python -m bank_simulator``, set by HTTP_HOST, HTTP_PORT and DATA_FOLDER."""

import os
from pathlib import Path

from aiohttp import web

from bank_simulator.app import build

if __name__ == "__main__":
    web.run_app(
        build(Path(os.environ["DATA_FOLDER"])),
        host=os.environ.get("HTTP_HOST", "127.0.0.1"),
        port=int(os.environ["HTTP_PORT"]),
        print=None,
    )
