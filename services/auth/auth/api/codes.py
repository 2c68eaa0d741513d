"""Whether a one-time code of a telephone (TOTP, RFC 6238) or a recovery code is right; each is taken once."""

import hmac

import pyotp
from aiohttp import web

from auth.api.keys import OWN_KEYS
from auth.domain.access_codes import recovery_hash, typed
from auth.settings import SETTINGS
from auth.store import accounts
from chassis.clock import now
from chassis.database import Transaction

STEP_SECONDS = 30
STEPS_AROUND = 1
"""A telephone's clock may be half a minute off."""


async def is_right(app: web.Application, tx: Transaction, account: accounts.Account, given: str) -> bool:
    """Take the code, if it is one; a code of the telephone is good once, and none before it ever again."""
    code = typed(given)
    if account.totp_secret is None:
        return False
    if len(code) == 8:
        plain = accounts.token_hash(f"{code[:4]}-{code[4:]}")
        keyed = recovery_hash(app[SETTINGS].recovery_key, account.account_id, plain)
        return await accounts.use_recovery_code(tx, account.account_id, keyed, plain, now())
    totp = pyotp.TOTP(app[OWN_KEYS].at_rest.decrypt(account.totp_secret).decode(), interval=STEP_SECONDS)
    at = now()
    step = int(at.timestamp()) // STEP_SECONDS
    for each in range(step - STEPS_AROUND, step + STEPS_AROUND + 1):
        if hmac.compare_digest(totp.generate_otp(each).encode(), code.encode()):
            return await accounts.use_totp_step(tx, account.account_id, each)
    return False
