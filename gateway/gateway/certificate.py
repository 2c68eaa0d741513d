"""``certificate``: until when the certificate that parents are shown is good, and whether it has the portal's name."""

import asyncio
import contextlib
import ssl
import sys
from datetime import UTC, datetime
from urllib.parse import urlsplit

from cryptography import x509

from chassis.command_errors import FAILED, BadArgument
from gateway.settings import Settings

DAYS_LEFT_MIN = 21
"""ACME renews a certificate a month before it ends, so one with less is not being renewed."""
ANSWER_SECONDS = 10
REMEDY = "Renew it: docs/runbook.md, « The certificate »; deploy/operate/apply makes a new one take effect."


async def certificate(settings: Settings, arguments: list[str]) -> int:
    """Look at the certificate of ``PUBLIC_URL``, or as HOST:PORT shows it; 1 when it ends within 21 days."""
    public = urlsplit(settings.public_url)
    host, port = _asked(arguments, public.hostname or "")
    if public.scheme != "https" and not arguments:
        raise BadArgument("PUBLIC_URL is not https, so there is no certificate: name one as HOST:PORT")
    try:
        shown = await asyncio.wait_for(_shown(host, port, public.hostname or host), ANSWER_SECONDS)
    except (OSError, TimeoutError) as error:
        wrong = f"nobody shows one at {host}:{port}: {str(error) or type(error).__name__}"
    else:
        wrong = _wrong(shown, public.hostname or host, datetime.now(UTC))
        if not wrong:
            sys.stdout.write(f"certificate: well until {shown.not_valid_after_utc:%Y-%m-%d}\n")
            return 0
    sys.stdout.write(f"certificate: 1 of 1 not well\n  !!  {wrong}\n      {REMEDY}\n")
    return FAILED


def _asked(arguments: list[str], host: str) -> tuple[str, int]:
    if not arguments:
        return host, 443
    name, _, port = arguments[0].rpartition(":")
    if len(arguments) > 1 or not name or not port.isdecimal() or not 0 < int(port) < 65_536:
        raise BadArgument("usage: certificate [HOST:PORT], such as proxy:443")
    return name, int(port)


async def _shown(host: str, port: int, name: str) -> x509.Certificate:
    """The certificate that a server shows for a name, trusted or not."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    _, writer = await asyncio.open_connection(host, port, ssl=context, server_hostname=name)
    try:
        found = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    finally:
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()
    return x509.load_der_x509_certificate(found)


def _wrong(shown: x509.Certificate, name: str, now: datetime) -> str:
    """What is not well with a certificate; nothing when it is."""
    try:
        names = shown.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        known = names.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        known = []
    if name not in known and f"*.{name.partition('.')[2]}" not in known:
        return f"it is for {', '.join(known) or 'no name'}, not for {name}"
    days = (shown.not_valid_after_utc - now).days
    if days < DAYS_LEFT_MIN:
        ends = "ended" if days < 0 else "ends"
        return f"it {ends} on {shown.not_valid_after_utc:%Y-%m-%d}, which is less than {DAYS_LEFT_MIN} days away"
    return ""
