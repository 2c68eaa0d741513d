"""``python -m bank_simulator``, set by HTTP_HOST, HTTP_PORT, DATA_FOLDER and LYRA_SHOPS (a JSON list, see ``lyra``)."""

import json
import os
from pathlib import Path

from aiohttp import web

from bank_simulator.app import build

if __name__ == "__main__":
    web.run_app(
        build(Path(os.environ["DATA_FOLDER"]), json.loads(os.environ.get("LYRA_SHOPS", "[]"))),
        host=os.environ.get("HTTP_HOST", "127.0.0.1"),
        port=int(os.environ["HTTP_PORT"]),
        print=None,
    )
