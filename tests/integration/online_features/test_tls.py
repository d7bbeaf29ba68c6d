"""TLS on both ways to the store: a TLS end point before Valkey, since the embedded one is built without TLS."""

import asyncio
import contextlib
import datetime as dt
import ipaddress
import ssl
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from feast import FeatureStore

from inference.errors import FeatureStoreError
from online_features import open_reader

from . import marketplace_views as market

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")  # Feast's and Ibis's own


def certificate(folder: Path) -> tuple[Path, Path]:
    """A self-signed certificate for localhost, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = dt.datetime.now(dt.UTC)
    names = x509.SubjectAlternativeName([x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    signed = (
        builder.not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(names, critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem, private = folder / "server.pem", folder / "server.key"
    pem.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    private.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return pem, private


async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError, ssl.SSLError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


@pytest.fixture
def tls_port(valkey: Any, tmp_path: Path) -> Iterator[int]:
    """A TLS end point before the shared Valkey."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate(tmp_path))
    started, stop, ports = threading.Event(), asyncio.Event(), list[int]()
    loop = asyncio.new_event_loop()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        behind_reader, behind_writer = await asyncio.open_unix_connection(valkey.socket)
        await asyncio.gather(copy(reader, behind_writer), copy(behind_reader, writer))

    async def serve() -> None:
        async with await asyncio.start_server(accept, "127.0.0.1", 0, ssl=context) as server:
            ports.append(server.sockets[0].getsockname()[1])
            started.set()
            await stop.wait()

    thread = threading.Thread(target=loop.run_until_complete, args=(serve(),))
    thread.start()
    assert started.wait(20)
    yield ports[0]
    loop.call_soon_threadsafe(stop.set)
    thread.join(20)
    for task in asyncio.all_tasks(loop):
        task.cancel()
    loop.run_until_complete(asyncio.sleep(0.05))
    loop.close()


def test_rows_are_written_and_read_over_tls(
    tls_port: int, feast_store: Callable[..., FeatureStore], tmp_path: Path
) -> None:
    ca = tmp_path / "server.pem"
    store = feast_store("tls", connection_string=f"localhost:{tls_port},ssl=true,ssl_ca_certs={ca}")
    store.apply([market.CANDIDATE, market.JOB, *market.views()])
    for name, frame in market.frames(3).items():
        store.write_to_online_store(name, frame)

    async def found(url: str) -> bool:
        reader = await open_reader(url, market.contract(), "tls")
        rows = await reader.read({"candidate_id": ["c0001"], "job_id": ["j0"]})
        await reader.close()
        return bool(rows.found.all())

    assert asyncio.run(found(f"rediss://localhost:{tls_port}/0?ssl_ca_certs={ca}"))
    with pytest.raises(FeatureStoreError, match="cannot be reached"):
        asyncio.run(found(f"rediss://localhost:{tls_port}/0"))
    store._get_provider().online_store.client(store.config).close()
