"""What is kept of each name: how far it has come, and its certificate. Files of mode 0600, each replaced as a whole."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from cryptography import x509
from pydantic import BaseModel, Field, TypeAdapter, ValidationError

from funai.base.files import write_whole
from funai.base.observability import log
from funai.contracts.apps.domains import DomainState
from funai.gateway.tls.certs import bundle, names_of, unfit

RENEW_PART = 3
"""A certificate is renewed when a third of its life is left."""


class Record(BaseModel):
    """``next_try`` is in epoch seconds; 0 is now. ``tries``: failures in a row for the one reason ``failing``."""

    name: str
    app_id: int
    asked: int = 0
    state: DomainState = DomainState.PENDING
    reason: str | None = None
    details: dict[str, str] = Field(default_factory=dict[str, str])
    tries: int = 0
    failing: str | None = None
    next_try: float = 0.0
    not_before_try: float = 0.0
    """Until then the authority isn't asked, whoever wants it."""
    served: bool = False
    """It was active once for this app, and is routed since."""

    def troubled(self, state: DomainState, reason: str | None, details: Mapping[str, str]) -> None:
        self.state, self.reason, self.details = state, reason, dict(details)


@dataclass(frozen=True, slots=True)
class Life:
    """A certificate's time."""

    begins: datetime
    ends: datetime

    @property
    def renewal(self) -> datetime:
        return self.ends - (self.ends - self.begins) / RENEW_PART

    def due(self, now: datetime) -> bool:
        return now >= self.renewal


_RECORDS = TypeAdapter(dict[str, Record])


class Records:
    """Blocking: call from a thread, except what reads memory. One owner a folder. ``own``: the platform's own hosts."""

    def __init__(self, folder: Path, own: Iterable[str] = ()) -> None:
        self.own = frozenset(own)
        self._file, self.folder = folder / "domains.json", folder / "certificates"
        self.known: dict[str, Record] = {}
        self._lives: dict[str, Life] = {}

    def load(self) -> None:
        """Raises OSError when the folder can't be made. A file that can't be read counts as none: names are sent again.

        A certificate of no known name goes: its name was taken away while it was issued.
        """
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        try:
            self.known = _RECORDS.validate_json(self._file.read_bytes())
        except FileNotFoundError:
            self.known = {}
            return
        except (OSError, ValidationError) as e:
            log.get("gateway").error("gateway.domains_unreadable", file=str(self._file), error=type(e).__name__)
            self.known = {}
        for file in self.folder.glob("*.pem"):
            if self.known and file.stem not in self.known.keys() | self.own:
                file.unlink(missing_ok=True)
                continue
            try:
                text = file.read_text(encoding="ascii")
                if file.stem in names_of(text):  # another stands in for one that is still to come
                    self._lives[file.stem] = _life(text)
            except (OSError, ValueError) as e:
                log.get("gateway").error("gateway.certificate_unusable", file=str(file), error=str(e))

    def save(self) -> None:
        """Raises OSError."""
        write_whole(self._file, _RECORDS.dump_json(self.known).decode())

    def keep(self, name: str, text: str) -> None:
        """A new certificate with its key. Raises OSError, and ValueError for one that HAProxy could not load."""
        whole = bundle(text)
        if why := unfit(whole):
            raise ValueError(why)
        life = _life(whole)
        write_whole(self.path(name), whole)
        self._lives[name] = life

    def drop(self, name: str) -> None:
        """Forget the name with its certificate."""
        self.known.pop(name, None)
        self._lives.pop(name, None)
        self.path(name).unlink(missing_ok=True)

    def life(self, name: str) -> Life | None:
        """None: there is no certificate."""
        return self._lives.get(name)

    def path(self, name: str) -> Path:
        return self.folder / f"{name}.pem"

    def certificates(self) -> list[Path]:
        """The certificates that the proxy shall have, by name."""
        return [self.path(name) for name in sorted(self._lives)]


def _life(text: str) -> Life:
    leaf = x509.load_pem_x509_certificates(text.encode())[0]
    return Life(leaf.not_valid_before_utc, leaf.not_valid_after_utc)
