"""``python -m bank_simulator``, set by HTTP_HOST, HTTP_PORT and DATA_FOLDER.

LYRA_SHOPS, PAYBOX_CONTRACTS and STRIPE_ACCOUNTS are JSON lists of who has a contract: see the module of each. They may
also be files of these names, in small letters, under /run/secrets.
"""

import json
import os
from pathlib import Path

from aiohttp import web

from bank_simulator.app import build
from bank_simulator.keys import Known

SECRETS = Path("/run/secrets")


def _listed(name: str) -> list[dict[str, str]]:
    file = SECRETS / name.lower()
    kept = file.read_text(encoding="utf-8") if file.exists() else "[]"
    found: list[dict[str, str]] = json.loads(os.environ.get(name, kept))
    return found


if __name__ == "__main__":
    shops = {shop["site_id"]: {"mode": "TEST", **shop} for shop in _listed("LYRA_SHOPS")}
    web.run_app(
        build(Path(os.environ["DATA_FOLDER"]), Known(shops, _listed("PAYBOX_CONTRACTS"), _listed("STRIPE_ACCOUNTS"))),
        host=os.environ.get("HTTP_HOST", "127.0.0.1"),
        port=int(os.environ["HTTP_PORT"]),
        print=None,
    )
