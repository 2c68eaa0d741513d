"""``certificate`` against a server that shows one: good for long, soon over, over, or for another name."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from chassis.command_errors import BadArgument
from gateway.certificate import certificate
from gateway.settings import Settings
from local_stack.ports import claim_any

SETTINGS = Settings.model_construct(public_url="https://familles.example")


def shown(folder: Path, name: str, days: int) -> ssl.SSLContext:
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.now(UTC)
    subject = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    ends = now + timedelta(days=days, minutes=1)
    began = now - timedelta(days=400)
    built = x509.CertificateBuilder(subject, subject, key.public_key(), x509.random_serial_number(), began, ends)
    signed = built.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    (folder / "both.pem").write_bytes(private + signed.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(folder / "both.pem")
    return context


@asynccontextmanager
async def serving(context: ssl.SSLContext) -> AsyncIterator[str]:
    server = await asyncio.start_server(lambda _reader, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    async with server:
        yield f"127.0.0.1:{server.sockets[0].getsockname()[1]}"


@pytest.mark.parametrize(
    ("name", "days", "status", "said"),
    [
        ("familles.example", 90, 0, "well until"),
        ("*.example", 21, 0, "well until"),
        ("familles.example", 20, 1, "it ends on"),
        ("familles.example", -2, 1, "it ended on"),
        ("autre.example", 90, 1, "it is for autre.example, not for familles.example"),
    ],
)
async def test_a_certificate_is_told_of_before_it_ends(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], name: str, days: int, status: int, said: str
) -> None:
    async with serving(shown(tmp_path, name, days)) as where:
        assert await certificate(SETTINGS, [where]) == status
    assert said in capsys.readouterr().out


async def test_nobody_there_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    assert await certificate(SETTINGS, [f"127.0.0.1:{claim_any()}"]) == 1
    assert "nobody shows one" in capsys.readouterr().out


async def test_a_portal_without_https_has_none() -> None:
    plain = Settings.model_construct(public_url="http://localhost:8080")
    with pytest.raises(BadArgument, match="not https"):
        await certificate(plain, [])
