"""Everything the HAProxy gateway keeps on disk: configuration, pages, routes, certificates, its secret and its lock."""

from __future__ import annotations

import asyncio
import fcntl
import os
import pwd
import resource
import secrets
import time
from pathlib import Path

from funai.base.files import write_whole
from funai.contracts.routes import GatewayError, Route
from funai.gateway.domains.authority import Account, Authority
from funai.gateway.domains.records import Records
from funai.gateway.haproxy import config as haproxy_config
from funai.gateway.haproxy import routemap
from funai.gateway.haproxy.config import NODE, Design
from funai.gateway.haproxy.host_map import HostMap
from funai.gateway.haproxy.process import HaproxyProcess, Paths
from funai.gateway.haproxy.rules.sections import LOG_FD_VARIABLE, Facts
from funai.gateway.settings import GatewaySettings
from funai.gateway.tls.certs import CertificateChange, CertificateStore

HOLD_SECONDS = 5.0
DEFAULT_USER = "haproxy"
MOST_CONNECTIONS = 20_000
_SPARE_FILES = 200


class HaproxyFiles:
    """Blocking: call from a thread, except :meth:`hold` and :meth:`release`."""

    def __init__(self, settings: GatewaySettings, design: Design = NODE) -> None:
        self._design = design
        self.settings, self.root, self._run = settings, settings.data_dir, settings.sockets
        self.paths = Paths(
            config=self.root / "haproxy.cfg",
            pid_file=self.root / "haproxy.pid",
            admin_socket=self._run / "admin.sock",
            log_pipe=self._run / "log.pipe",
            start_log=self.root / "haproxy-start.log",
        )
        self.map_file, self.hosts_file = self.root / "routes.map", self.root / "hosts.map"
        self.records = Records(self.root / "acme", settings.own_hosts)
        self.issued_folder = self.records.folder
        self.certificates = CertificateStore(settings.tls_dir, self.root / "tls", self.records.certificates)
        self._account: Account | None = None
        self.identity = ""
        self.secret = ""
        self.boot = "any" if design.lasting else _boot_id()
        self._lock_fd = -1

    async def hold(self) -> None:
        """Be the only owner. A former owner that is just ending gets a few seconds. Raises GatewayError."""
        try:
            for folder in (self.root, self._run, self.root / "pages"):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            fd = os.open(self.root / "owner.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as e:
            raise GatewayError(f"gateway.data-dir {self.root} can't be used: {e.strerror}") from e
        deadline = time.monotonic() + HOLD_SECONDS
        try:
            while not _locked(fd):
                if time.monotonic() > deadline:
                    raise GatewayError(f"another process owns the gateway in {self.root}; stop it first")
                await asyncio.sleep(0.05)
            self._lock_fd, fd = fd, -1
        finally:
            if fd >= 0:
                os.close(fd)

    def release(self) -> None:
        fd, self._lock_fd = self._lock_fd, -1
        if fd >= 0:
            os.close(fd)

    def process(self) -> HaproxyProcess:
        binary = self.settings.haproxy_path
        if binary is None:
            missing = self.settings.haproxy_bin
            raise GatewayError(f"{missing} is not installed; `apt-get install haproxy`, or set gateway.haproxy-bin")
        return HaproxyProcess(binary, self.paths, LOG_FD_VARIABLE)

    def prepare(self, version: str) -> CertificateChange | None:
        """Write configuration, pages and certificates. Raises GatewayError."""
        try:
            self.secret = self._load_secret()
            self.records.load()
            if self.settings.acme_directory_url:
                self._account = Account.from_file(self.root / "acme" / "account.key")
            HostMap.ensure(self.hosts_file)
            change = self.certificates.refresh() if self.settings.https_port else None
            self._write_config(version)
            if not self.map_file.exists():
                write_whole(self.map_file, routemap.render_file({}, self.boot))
        except (OSError, ValueError) as e:
            raise GatewayError(f"the gateway's files can't be used in {self.root}: {e}") from e
        self._version = version
        return change

    def authority(self) -> Authority | None:
        """The authority that the settings name, once :meth:`prepare` was called. None: there is none."""
        if self._account is None:
            return None
        s = self.settings
        return Authority(s.acme_directory_url, self._account, email=s.acme_email, ca_file=s.acme_ca_file)

    def refresh_certificates(self) -> CertificateChange:
        """Look at the folder again. When the set of certificates changed, the configuration is rewritten for a new process."""
        change = self.certificates.refresh()
        if change.regrouped:
            self._write_config(self._version)
        return change

    def stored_routes(self) -> list[Route]:
        """What was last written to disk; nothing when it can't be read."""
        try:
            text = self.map_file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError):
            return []
        return list(routemap.parse_file(text, self.boot).values())

    def _write_config(self, version: str) -> None:
        texts = self._design.files(self.settings)
        for name, text in texts.items():
            _write_if_new(self.root / "pages" / name, text)
        config = self._design.render(self.settings, self._facts(version))
        self.identity = haproxy_config.identity(config, texts)
        _write_if_new(self.paths.config, haproxy_config.with_identity(config, self.identity))

    def _facts(self, version: str) -> Facts:
        return Facts(
            root=self.root,
            sockets=self._run,
            max_connections=self.settings.max_connections or _affordable_connections(),
            user=_drop_to(self.settings.user),
            probe_sha256=haproxy_config.probe_digest(self.secret),
            certificates=self.certificates.names() if self.settings.https_port else (),
            version=version,
            thumbprint=self._account.thumbprint if self._account else "",
        )

    def _load_secret(self) -> str:
        if self.settings.probe_secret is not None:
            return self.settings.probe_secret.get_secret_value()
        file = self.root / "probe.secret"
        if file.exists() and (kept := file.read_text().strip()):
            return kept
        made = secrets.token_urlsafe(32)
        write_whole(file, made + "\n")
        return made


def _locked(fd: int) -> bool:
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _boot_id() -> str:
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"


def _drop_to(user: str) -> str:
    """The account HAProxy gives root up for; empty when we aren't root, or there is none."""
    if os.geteuid() != 0:
        return ""
    try:
        return pwd.getpwnam(user or DEFAULT_USER).pw_name
    except KeyError as e:
        if user:
            raise GatewayError(f"gateway.user: there is no user {user} on this machine") from e
        return ""


def _affordable_connections() -> int:
    """Two files a connection, out of what this process may open."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard == resource.RLIM_INFINITY:
        return MOST_CONNECTIONS
    return max(100, min(MOST_CONNECTIONS, (hard - _SPARE_FILES) // 2))


def _write_if_new(path: Path, text: str) -> None:
    if not path.exists() or path.read_text(encoding="utf-8") != text:
        write_whole(path, text)
