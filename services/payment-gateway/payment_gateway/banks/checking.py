"""The self-test at start: does the bank know the account, is the webhook reachable. It stops nobody from starting."""

import asyncio

import aiohttp
import structlog

from payment_gateway.banks import Bank
from payment_gateway.domain.failures import BankRefused, BankUnreachable
from payment_gateway.settings import Settings

TRIES, PAUSE_SECONDS = 6, 10
EMPTY_NOTICE_STATUS = 400
"""What our own webhook answers to an empty notification; a proxy's page would be something else."""

log = structlog.get_logger()


async def check(settings: Settings, bank: Bank) -> list[str]:
    """Say in the log what is found; what is wrong, none when all is well."""
    wrong = []
    try:
        await bank.check()
        log.info("bank account checked", bank=bank.name, account=bank.account, mode=bank.mode)
    except (BankRefused, BankUnreachable) as problem:
        log.warning("bank account not usable", bank=bank.name, account=bank.account, reason=problem.detail)
        wrong.append("account")
    if settings.webhook_check and not await _is_reachable(f"{settings.webhooks_url}/{bank.name}"):
        wrong.append("webhook")
    return wrong


async def _is_reachable(url: str) -> bool:
    """The whole way in, as the bank goes; the gateway may still be starting, so several times."""
    found = ""
    for _ in range(TRIES):
        try:
            async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5)) as http, http.post(url) as answer:
                if answer.status == EMPTY_NOTICE_STATUS:
                    log.info("webhook reachable", url=url)
                    return True
                found = f"status {answer.status}"
        except (TimeoutError, aiohttp.ClientError) as error:
            found = type(error).__name__
        await asyncio.sleep(PAUSE_SECONDS)
    log.warning("webhook not reachable: notifications will not come", url=url, found=found)
    return False
