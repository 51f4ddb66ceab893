"""A platform behind TLS with an authority of its own: believed when the operator says so, and only then."""

from __future__ import annotations

import datetime
import ipaddress
import json
import ssl
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from typer.testing import CliRunner

from funai.cli.main import build


def self_signed(folder: Path) -> Path:
    """A certificate for 127.0.0.1 and its key in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "the platform")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    file = folder / "server.pem"
    plain = serialization.NoEncryption()
    pem = serialization.Encoding.PEM
    file.write_bytes(certificate.public_bytes(pem) + key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain))
    (folder / "authority.pem").write_bytes(certificate.public_bytes(pem))
    return file


class Health(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        user = {"id": 1, "userName": "ann", "admin": False, "createdAt": "2026-01-01T00:00:00Z"}
        body = json.dumps({"code": 200, "message": "ok", "data": user}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def https(tmp_path: Path) -> Iterator[str]:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(self_signed(tmp_path))
    server = ThreadingHTTPServer(("127.0.0.1", 0), Health)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"https://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    thread.join()
    server.server_close()


def test_an_unknown_authority_is_refused_and_a_named_one_believed(https: str, tmp_path: Path) -> None:
    env = {
        "FUNAI_SERVER": https,
        "FUNAI_API_KEY": "k",
        "FUNAI_LANG": "en",
        "XDG_CONFIG_HOME": str(tmp_path),
        "SSL_CERT_FILE": "",
    }
    refused = CliRunner().invoke(build(), ["whoami"], env=env)
    assert refused.exit_code == 6
    assert "certificate verify failed" in refused.stderr
    believed = CliRunner().invoke(build(), ["whoami", "--json"], env={**env, "SSL_CERT_FILE": str(tmp_path / "authority.pem")})
    assert believed.exit_code == 0, believed.stderr
    assert json.loads(believed.stdout)["userName"] == "ann"
