"""What an operator's certificate folder may look like, and what becomes of a file that is no use."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from funai.gateway.tls.certs import DEFAULT_NAME, CertificateStore, bundle, scan, self_signed, signed_by

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def pair(name: str) -> tuple[str, str]:
    whole = self_signed(NOW, name)
    cut = whole.index("-----BEGIN PRIVATE KEY")
    return whole[:cut], whole[cut:]


def test_the_forms_that_acme_clients_leave(tmp_path: Path) -> None:
    (tmp_path / "one.pem").write_text("".join(pair("one")))
    lego = tmp_path / "certificates"
    lego.mkdir()
    certificate, key = pair("two")
    (lego / "two.crt").write_text(certificate)
    (lego / "two.key").write_text(key)
    (lego / "two.issuer.crt").write_text(pair("issuer")[0])
    live = tmp_path / "live" / "three.example"
    live.mkdir(parents=True)
    for file, text in zip(("fullchain.pem", "privkey.pem"), pair("three"), strict=True):
        archived = tmp_path / "archive" / file
        archived.parent.mkdir(exist_ok=True)
        archived.write_text(text)
        (live / file).symlink_to(archived)
    (live / "cert.pem").write_text(pair("x")[0])
    (live / "chain.pem").write_text(pair("x")[0])
    (live / "README").write_text("words")
    found = scan(tmp_path)
    assert set(found.bundles) == {"one", "two", "three.example"}
    assert found.problems == {}
    for text in found.bundles.values():
        assert "\n\n" not in text
        assert text.startswith("-----BEGIN CERTIFICATE")
        assert text.endswith("KEY-----\n")


def test_a_chain_in_any_order_becomes_leaf_first() -> None:
    leaf, key = pair("leaf")
    above = pair("issuer")[0]
    assert bundle(key + above + leaf) == bundle(leaf + above + key) == leaf + above + key


def test_unusable_files_are_named_with_a_reason(tmp_path: Path) -> None:
    certificate, key = pair("a")
    other_key = pair("b")[1]
    encrypted = ec.generate_private_key(ec.SECP256R1()).private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.BestAvailableEncryption(b"x")
    )
    cases = {
        "half.pem": (certificate + key)[:200],
        "foreign.pem": certificate + other_key,
        "keyless.pem": certificate,
        "locked.pem": certificate + encrypted.decode(),
        "empty.pem": "",
        "two-keys.pem": certificate + key + other_key,
        "garbage.pem": certificate.replace("M", "!", 5) + key,
    }
    for name, text in cases.items():
        (tmp_path / name).write_text(text)
    found = scan(tmp_path)
    assert found.bundles == {}
    assert {Path(file).name for file in found.problems} == cases.keys()
    assert "passphrase" in found.problems[str(tmp_path / "locked.pem")]
    assert "belongs to none" in found.problems[str(tmp_path / "foreign.pem")]


def test_a_missing_folder_is_an_empty_one(tmp_path: Path) -> None:
    assert scan(tmp_path / "none").bundles == {}


@pytest.fixture
def store(tmp_path: Path) -> CertificateStore:
    (tmp_path / "in").mkdir()
    return CertificateStore(tmp_path / "in", tmp_path / "out")


def test_the_store_tells_renewed_from_regrouped(store: CertificateStore, tmp_path: Path) -> None:
    first = store.refresh()
    assert (first.regrouped, store.names()) == (True, (DEFAULT_NAME,))
    assert not store.refresh()
    source = tmp_path / "in" / "a.pem"
    source.write_text("".join(pair("a")))
    assert store.refresh().regrouped
    assert store.names() == ("a",)
    assert not store.path(DEFAULT_NAME).exists()
    assert store.path("a").stat().st_mode & 0o777 == 0o600
    source.write_text("".join(pair("a")))
    renewed = store.refresh()
    assert (renewed.regrouped, renewed.changed) == (False, {"a": store.path("a")})
    # A broken file leaves the certificate that works …
    before = store.path("a").read_text()
    source.write_text(before[:100])
    broken = store.refresh()
    assert not broken
    assert str(source) in broken.problems
    assert store.path("a").read_text() == before
    # … and one that is gone is gone.
    source.unlink()
    assert store.refresh().regrouped
    assert store.names() == (DEFAULT_NAME,)


def _stored(store: CertificateStore, tmp_path: Path) -> str:
    for ending, text in zip(("crt", "key"), pair("a"), strict=True):
        (tmp_path / "in" / f"a.{ending}").write_text(text)
    store.refresh()
    return store.path("a").read_text()


def test_a_key_that_is_away_for_a_moment_takes_no_certificate_away(store: CertificateStore, tmp_path: Path) -> None:
    before = _stored(store, tmp_path)
    (tmp_path / "in" / "a.key").unlink()
    (tmp_path / "in" / "a.pem").write_text("".join(pair("whole")))  # another form of the name is as good
    assert store.refresh().changed
    (tmp_path / "in" / "a.pem").unlink()
    assert not store.refresh()
    assert store.names() == ("a",)
    assert store.path("a").read_text() != before


def test_a_folder_that_is_away_takes_none_away(store: CertificateStore, tmp_path: Path) -> None:
    before = _stored(store, tmp_path)
    (tmp_path / "in").rename(tmp_path / "unmounted")
    assert not store.refresh()
    assert store.path("a").read_text() == before


def test_a_certificate_that_openssl_would_not_serve_with_keeps_no_other_from_starting(
    store: CertificateStore, tmp_path: Path
) -> None:
    _stored(store, tmp_path)
    key = rsa.generate_private_key(65537, 1024)
    weak = tmp_path / "in" / "weak.pem"
    weak.write_text(signed_by(key, NOW, "weak"))
    found = store.refresh()
    assert not found
    assert "key too small" in found.problems["weak"]
    assert store.names() == ("a",)
    # An earlier release took it in: it goes.
    store.path("weak").write_text(weak.read_text())
    store.list_file.write_text(f"{store.path('a')}\n{store.path('weak')}\n")
    assert store.refresh().regrouped
    assert store.names() == ("a",)
