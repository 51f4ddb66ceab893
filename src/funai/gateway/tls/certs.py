"""Certificates: from an operator's folder, in the forms ACME clients leave them, to what HAProxy loads.

The folder may hold, also in subfolders (certbot's ``live/<name>/``):

* ``name.pem``: chain and key in one file;
* ``name.crt`` (or ``.cer``) with ``name.key``: lego, acme.sh;
* ``fullchain.pem`` with ``privkey.pem``: certbot; named after their folder.

Each is checked before it is used; a file that is half written or does not fit its key is left out with a reason, and
what was in use before stays in use.
"""

from __future__ import annotations

import os
import re
import ssl
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from funai.base.files import write_whole

DEFAULT_NAME = "_self-signed"
_BLOCK = re.compile(r"-----BEGIN ([A-Z0-9 ]+)-----.*?-----END \1-----", re.DOTALL)
_SAFE = re.compile(r"[^A-Za-z0-9._-]")
_FILE_LIMIT = 256 * 1024
_DEPTH = 3


@dataclass(slots=True)
class Found:
    """``bundles``: name → leaf, chain and key as one PEM text without blank lines. ``problems``: file → why not.

    ``broken``: names that are there and can't be used now. ``partial``: a folder can't be read; what it holds is not known.
    """

    bundles: dict[str, str] = field(default_factory=dict[str, str])
    problems: dict[str, str] = field(default_factory=dict[str, str])
    broken: set[str] = field(default_factory=set[str])
    partial: bool = False


def scan(folder: Path) -> Found:
    """Read the folder. Never raises for what is in it."""
    found = Found()
    for name, files in _candidates(folder, found):
        try:
            found.bundles[name] = bundle("\n".join(_read(f) for f in files))
        except (OSError, ValueError) as e:
            found.problems[str(files[0])] = str(e)
            found.broken.add(name)
    return found


def _candidates(folder: Path, found: Found) -> Iterable[tuple[str, tuple[Path, ...]]]:
    seen: set[str] = set()
    for path in sorted(_walk(folder, _DEPTH, found)):
        files: tuple[Path, ...]
        if path.name == "fullchain.pem":
            files, stem = (path, path.with_name("privkey.pem")), path.parent.name
        elif path.suffix in (".crt", ".cer"):
            files, stem = (path, path.with_suffix(".key")), path.stem
        elif path.suffix == ".pem" and path.name not in ("privkey.pem", "cert.pem", "chain.pem"):
            files, stem = (path,), path.stem
        else:
            continue
        name = _SAFE.sub("_", stem) or "certificate"
        if path.name.endswith(".issuer.crt") or name in seen:
            continue
        if len(files) == 2 and not files[1].exists():
            found.broken.add(name)  # A chain for clients has no key; one that was in use lost its own for a moment.
            continue
        seen.add(name)
        yield name, files


def _walk(folder: Path, depth: int, found: Found) -> Iterable[Path]:
    try:
        entries = sorted(folder.iterdir())
    except OSError as e:
        found.partial = True
        if not isinstance(e, FileNotFoundError):
            found.problems[str(folder)] = e.strerror or str(e)
        return
    for entry in entries:
        if entry.name.startswith("."):
            continue
        if entry.is_dir():
            # certbot keeps every old certificate in archive/.
            if depth and entry.name not in ("archive", "accounts", "keys", "csr", "renewal", "renewal-hooks"):
                yield from _walk(entry, depth - 1, found)
        else:
            yield entry


def _read(path: Path) -> str:
    if path.stat().st_size > _FILE_LIMIT:
        raise ValueError("is too large for a certificate")
    return path.read_text(encoding="ascii")


def bundle(text: str) -> str:
    """Leaf first, then the chain, then the key, without blank lines. Raises ValueError that says what is wrong."""
    keys = [m.group(0) for m in _BLOCK.finditer(text) if m.group(1).endswith("PRIVATE KEY")]
    certificates = [m.group(0) for m in _BLOCK.finditer(text) if m.group(1) == "CERTIFICATE"]
    if not certificates or len(keys) != 1:
        raise ValueError(f"needs certificates and one private key; has {len(certificates)} and {len(keys)}")
    try:
        key = serialization.load_pem_private_key(keys[0].encode(), None)
        parsed = [x509.load_pem_x509_certificate(c.encode()) for c in certificates]
    except TypeError as e:
        raise ValueError("the private key is encrypted; leave it without a passphrase") from e
    mine = _public(key.public_key())
    leaf = next((i for i, c in enumerate(parsed) if _public(c.public_key()) == mine), None)
    if leaf is None:
        raise ValueError("the private key belongs to none of the certificates")
    ordered = [certificates[leaf], *certificates[:leaf], *certificates[leaf + 1 :], keys[0]]
    return "\n".join("\n".join(line.strip() for line in block.splitlines() if line.strip()) for block in ordered) + "\n"


def unfit(bundle_text: str) -> str:
    """Why OpenSSL would not serve with it (a key too short, a weak signature); empty when it would. One such file in
    HAProxy's list keeps all of it from starting."""
    fd = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        os.write(fd, bundle_text.encode())
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(f"/proc/self/fd/{fd}")
    except ssl.SSLError as e:
        return f"OpenSSL refuses it: {(e.reason or str(e)).replace('_', ' ').lower()}"
    finally:
        os.close(fd)
    return ""


def _public(key: object) -> bytes:
    der, info = serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    return key.public_bytes(der, info)  # type: ignore[attr-defined, no-any-return]


def self_signed(now: datetime, name: str = "funai-gateway.invalid") -> str:
    """A bundle that lets HTTPS answer before the operator has a certificate; no browser will trust it."""
    return signed_by(ec.generate_private_key(ec.SECP256R1()), now, name)


def signed_by(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey, now: datetime, name: str) -> str:
    """A bundle of this key and a certificate of its own."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=3650))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    secret = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    return bundle((certificate.public_bytes(pem) + secret).decode())


@dataclass(frozen=True, slots=True)
class CertificateChange:
    """``changed``: the operator's names whose content is new; ``regrouped``: the set of them differs: a new process is needed.

    ``issued``: those of apps' own names differ, in names or content; the running proxy takes them one by one.
    """

    changed: dict[str, Path]
    regrouped: bool
    problems: dict[str, str]
    issued: bool = False

    def __bool__(self) -> bool:
        return bool(self.changed) or self.regrouped or self.issued


def _none_issued() -> list[Path]:
    return []


class CertificateStore:
    """Our own copy of the operator's usable certificates, and the list HAProxy reads. Blocking: call it from a thread.

    ``issued`` answers the files of apps' own names, which are listed after the operator's and not copied.
    """

    def __init__(self, source: Path | None, folder: Path, issued: Callable[[], list[Path]] = _none_issued) -> None:
        self._source, self._folder, self._issued = source, folder, issued
        self._unfit: dict[str, str] = {}
        """Bundles of the latest look → why they can't be served with, or nothing."""
        self._stamps: dict[Path, tuple[int, int]] = {}
        self._covered: frozenset[str] = frozenset()
        self._ends: dict[Path, tuple[tuple[int, int], float]] = {}
        self.list_file = folder / "crt-list.txt"

    def path(self, name: str) -> Path:
        return self._folder / f"{name}.pem"

    def names(self) -> tuple[str, ...]:
        """The operator's, in the order of the list: the first is shown to clients whose name no certificate has."""
        return tuple(file.stem for file in self._listed() if file.parent == self._folder)

    def issued(self) -> dict[Path, tuple[int, int]]:
        """The listed files of apps' own names, each with a stamp that another content changes."""
        return dict(self._stamps)

    def covers(self, name: str) -> bool:
        """Whether one of the operator's certificates, as of the latest look, has this name."""
        return name in self._covered or f"*.{name.partition('.')[2]}" in self._covered

    def ends(self) -> dict[str, float]:
        """Epoch seconds at which each listed certificate ends, by its file's name; without the one that stands in."""
        found: dict[str, float] = {}
        for file in self._listed():
            if file.stem == DEFAULT_NAME:
                continue
            with suppress(OSError, ValueError):
                if (stamp := _stamp(file)) != self._ends.get(file, ((0, 0), 0.0))[0]:
                    leaf = x509.load_pem_x509_certificates(file.read_bytes())[0]
                    self._ends[file] = stamp, leaf.not_valid_after_utc.timestamp()
                found[file.stem] = self._ends[file][1]
        self._ends = {file: known for file, known in self._ends.items() if file.stem in found}
        return found

    def _listed(self) -> list[Path]:
        try:
            return [Path(line) for line in self.list_file.read_text().split()]
        except OSError:
            return []

    def refresh(self) -> CertificateChange:
        """Bring the copy up to date. Raises OSError when it can't be written."""
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = self._without_unfit(scan(self._source)) if self._source else Found()
        # A broken file must not take a working certificate away.
        broken = {n for n in self.names() if n != DEFAULT_NAME and self._is_broken(n, found)}
        wanted = sorted({*found.bundles, *broken}) or [DEFAULT_NAME]
        changed: dict[str, Path] = {}
        for name in wanted:
            text = found.bundles.get(name) or (self_signed(datetime.now(UTC)) if name == DEFAULT_NAME else None)
            path = self.path(name)
            if text is None or (path.exists() and (name == DEFAULT_NAME or path.read_text() == text)):
                continue
            write_whole(path, text)
            changed[name] = path
        before, listed = self.names(), self._listed()
        stamps = {file: _stamp(file) for file in self._issued() if file.exists()}
        files = [*(self.path(n) for n in wanted), *stamps]
        if files != listed:
            write_whole(self.list_file, "".join(f"{file}\n" for file in files))
        for gone in set(before) - set(wanted):
            self.path(gone).unlink(missing_ok=True)
        issued, self._stamps = stamps != self._stamps, stamps
        if changed or tuple(wanted) != before or not self._covered:
            self._covered = frozenset(n for name in wanted for n in _names_in(self.path(name)))
        kept = {n: p for n, p in changed.items() if n in before}
        return CertificateChange(kept, tuple(wanted) != before, found.problems, issued)

    def _is_broken(self, name: str, found: Found) -> bool:
        """Whether what we have of it must do for now."""
        path = self.path(name)
        doubtful = name not in found.bundles and (found.partial or name in found.broken)
        return doubtful and path.exists() and not unfit(path.read_text())

    def _without_unfit(self, found: Found) -> Found:
        texts = found.bundles.values()
        self._unfit = {text: self._unfit[text] if text in self._unfit else unfit(text) for text in texts}
        for name, text in list(found.bundles.items()):
            if why := self._unfit[text]:
                del found.bundles[name]
                found.problems[name] = why
                found.broken.add(name)
        return found


def _stamp(file: Path) -> tuple[int, int]:
    found = file.stat()
    return found.st_mtime_ns, found.st_ino


def names_of(bundle_text: str) -> list[str]:
    """The DNS names of a bundle's leaf. Raises ValueError."""
    leaf = x509.load_pem_x509_certificates(bundle_text.encode())[0]
    try:
        found = leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return []
    return [name.lower() for name in found.get_values_for_type(x509.DNSName)]


def _names_in(file: Path) -> list[str]:
    """None of one that can't be read."""
    try:
        return names_of(file.read_text(encoding="ascii"))
    except (OSError, ValueError):
        return []
