"""A server on another machine is reached by TLS that is verified, or the program does not start."""

import pytest

from chassis.settings import ServiceSettings, load
from chassis.transport import checked_broker_url, checked_database_url

HERE = {"auth_url": "http://auth:8080", "http_port": "8080"}
NEAR = [
    "postgresql://a:b@127.0.0.1:5432/x",
    "postgresql://a:b@[::1]/x",
    "postgresql://a:b@localhost/x",
    "postgresql://a:b@postgresql:5432/x",
    "postgresql://a:b@saint-aubin-postgresql-rw:5432/x",
    "postgresql:///x?host=/run/postgresql",
]
VERIFIED = ["postgresql://a:b@db.example/x?sslmode=verify-full&sslrootcert=/run/secrets/ca.pem"]
OPEN = [
    "postgresql://a:b@db.example:5432/x",
    "postgresql://a:b@10.20.0.5/x",
    "postgresql://a:b@[2001:db8::1]/x",
    "postgresql://a:b@db.example/x?sslmode=require",
    "postgresql://a:b@db.example/x?sslmode=verify-ca&sslrootcert=/run/secrets/ca.pem",
    "postgresql://a:b@localhost,db.example/x",
    "postgresql://a:b@localhost/x?host=db.example",
]


@pytest.mark.parametrize("url", NEAR + VERIFIED)
def test_a_database_that_nobody_can_listen_to_is_taken(url: str) -> None:
    assert checked_database_url(url) == url


@pytest.mark.parametrize("url", OPEN)
def test_a_database_on_another_machine_without_verified_tls_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="verify-full"):
        checked_database_url(url)


@pytest.mark.parametrize(
    "url", ["amqp://a:b@127.0.0.1/x", "amqp://a:b@rabbitmq:5672/x", "amqps://a:b@mq.example/x?cafile=/ca.pem"]
)
def test_a_broker_that_nobody_can_listen_to_is_taken(url: str) -> None:
    assert checked_broker_url(url) == url


@pytest.mark.parametrize(
    "url", ["amqp://a:b@mq.example/x", "amqp://a:b@10.0.0.1/x", "amqps://a:b@mq.example/x?no_verify_ssl=1"]
)
def test_a_broker_on_another_machine_without_verified_tls_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="amqps"):
        checked_broker_url(url)


def test_a_program_says_which_address_is_not_private(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in HERE.items():
        monkeypatch.setenv(name.upper(), value)
    monkeypatch.setenv("AMQP_URL", "amqp://a:b@mq.example/x")
    monkeypatch.setenv("DATABASE_URL", "postgresql://a:b@db.example/x")
    with pytest.raises(SystemExit) as left:
        load(ServiceSettings)
    said = capsys.readouterr().err.splitlines()
    assert left.value.code == 2
    assert [line.split(":")[0] for line in said] == ["setting AMQP_URL", "setting DATABASE_URL"]
    assert "b@" not in "".join(said)
