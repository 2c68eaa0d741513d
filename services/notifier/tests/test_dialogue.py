"""The dialogue with the mail server: TLS, codes, a line cut in the middle of a mail, a death before the note of it."""

import asyncio
import ssl
from datetime import timedelta
from ipaddress import IPv4Address
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from chassis.clock import now
from chassis.testing import eventually
from notifier.app import build

CODES = LoginPassword(b"portail", b"the town's own password")


@pytest.fixture
def certificate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> ssl.SSLContext:
    """A server's side of TLS, by a certificate that this machine trusts for the test."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now() - timedelta(days=1))
        .not_valid_after(now() + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain, secret = tmp_path / "certificate.pem", tmp_path / "key.pem"
    chain.write_bytes(made.public_bytes(serialization.Encoding.PEM))
    secret.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    monkeypatch.setenv("SSL_CERT_FILE", str(chain))
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(chain, secret)
    return context


def wants_codes(mail_server: Any, **tls: Any) -> SMTP:
    """A server that takes mails by TLS and from who has its codes."""

    def check(_server: SMTP, _session: Session, _envelope: Envelope, _how: str, given: Any) -> AuthResult:
        return AuthResult(success=given == CODES, handled=False)

    return SMTP(mail_server, authenticator=check, auth_required=True, **tls)


def with_codes(post: Any, tls: str, password: str) -> Any:
    more = {"smtp_tls": tls, "smtp_username": "portail", "smtp_password": password}
    return build(post.settings.model_copy(update=more))


@pytest.mark.filterwarnings("ignore:Requiring AUTH")  # aiosmtpd does not see the TLS that is around it
@pytest.mark.parametrize("tls", ["tls", "starttls"])
async def test_a_mail_goes_by_tls_with_the_towns_codes(post: Any, certificate: ssl.SSLContext, tls: str) -> None:
    await post.known()
    await post.client.close()
    await post.mail_server.close()
    made = {"require_starttls": True, "tls_context": certificate} if tls == "starttls" else {"auth_require_tls": False}
    wrapped = certificate if tls == "tls" else None
    server = await asyncio.get_running_loop().create_server(
        lambda: wants_codes(post.mail_server, **made), "127.0.0.1", post.settings.smtp_port, ssl=wrapped
    )
    try:
        async with TestClient(TestServer(with_codes(post, tls, "wrong"))):
            await post.probe.publish(post.confirmed())
            await eventually(lambda: post.told("waiting", "535"))
        assert post.mail_server.taken == []
        async with TestClient(TestServer(with_codes(post, tls, CODES.password.decode()))):
            await post.mails(1)
    finally:
        server.close()


async def test_a_certificate_that_nobody_trusts_gets_no_mail(
    post: Any, certificate: ssl.SSLContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("SSL_CERT_FILE")
    await post.known()
    await post.client.close()
    await post.mail_server.close()
    server = await asyncio.get_running_loop().create_server(
        lambda: SMTP(post.mail_server), "127.0.0.1", post.settings.smtp_port, ssl=certificate
    )
    try:
        async with TestClient(TestServer(with_codes(post, "tls", "any"))):
            await post.probe.publish(post.confirmed())
            await eventually(lambda: post.told("waiting", "CERTIFICATE_VERIFY_FAILED"))
        assert post.mail_server.taken == []
    finally:
        server.close()


async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """A server that hangs up after the first bytes of a mail."""
    writer.write(b"220 hello\r\n")
    while line := await reader.readline():
        if line.upper().startswith(b"DATA"):
            writer.write(b"354 go on\r\n")
            await reader.read(200)
            writer.transport.abort()
            return
        writer.write(b"250 fine\r\n")


async def test_a_line_cut_in_the_middle_of_a_mail_loses_and_doubles_nothing(post: Any) -> None:
    await post.known()
    await post.mail_server.close()
    server = await asyncio.start_server(cut, "127.0.0.1", post.settings.smtp_port)
    await post.hears(post.confirmed())
    await eventually(lambda: post.sql("SELECT attempts >= 2 AND last_answer IS NOT NULL FROM mail"))
    server.close()
    await server.wait_closed()
    await post.mail_server.open()
    await post.mails(1)


async def test_who_dies_between_the_sending_and_the_note_of_it_doubles_one_mail_at_most_and_says_so(post: Any) -> None:
    """The server has the mail, the database does not know: after the lease another sends it under the same id."""
    await post.known()
    await post.hears(post.confirmed())
    (first,) = await post.mails(1)
    await post.line("sent")
    await post.sql(
        "UPDATE mail SET status = 'waiting', sent_at = NULL, last_answer = NULL, try_at = now() + interval '1 second'"
    )
    await eventually(lambda: post.sql("SELECT status = 'sent' FROM mail"))
    both = await post.mails(2)
    assert both[1]["Message-ID"] == first["Message-ID"]
    assert await post.sql("SELECT attempts FROM mail") == 2
