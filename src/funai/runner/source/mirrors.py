"""Source: a bare mirror per repository that fetches only what is new, and a fresh folder of files per job."""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

from funai.base.process import proc
from funai.contracts.apps.buildspec import uses_lfs
from funai.contracts.reasons import FailureCode
from funai.i18n.joblog import both
from funai.runner.cleanup.fs import remove_tree
from funai.runner.commands.git import Git, candidates, close_connection, environment, ssh_config
from funai.runner.failures import JobFailed, last_lines
from funai.runner.retry import retrying
from funai.runner.settings import RunnerSettings
from funai.runner.source.probe import diagnose

QUICK = 60.0
"""Seconds for a git command that only reads the mirror."""
MAX_FILES, MAX_LISTING, MAX_DEPTH = 300_000, 64 * 1024 * 1024, 200
"""Files of a commit, bytes of their names, and folders inside each other."""
MAX_ATTRIBUTES = 1024 * 1024
PACK_SECONDS, IN_USE_SECONDS = 300, 300.0
_LFS_POINTER = b"version https://git-lfs.github.com/spec/"
_SUBMODULE, _LINK = "160000", "120000"


@dataclass(frozen=True, slots=True)
class Entry:
    """One file of a commit."""

    mode: str
    size: int
    path: str


@dataclass(frozen=True, slots=True)
class Commit:
    """A commit that is in the mirror. ``sha`` is full; ``making`` tells a mirror from one that was made anew in its place."""

    git: Git
    sha: str
    making: int

    @classmethod
    def of(cls, git: Git, sha: str) -> Commit:
        return cls(git, sha, git.mirror.stat().st_ino)


class Source:
    """All mirrors of one work dir. Calls for one repository follow one another; others run beside them."""

    def __init__(self, settings: RunnerSettings) -> None:
        self._settings = settings
        self._mirrors = settings.workdir / "mirrors"
        self._ssh_config = settings.workdir / "ssh_config"
        self._control = _control_folder(settings.workdir)
        self._locks: dict[Path, asyncio.Lock] = {}
        self._handed_out: dict[Path, float] = {}

    def prepare(self) -> None:
        """Make the folders and the ssh_config."""
        self._mirrors.mkdir(parents=True, exist_ok=True)
        shutil.rmtree(self._control, ignore_errors=True)
        self._control.mkdir(mode=0o700)
        text = ssh_config(self._settings.ssh_key_path, self._settings.known_hosts_path, self._control)
        self._ssh_config.write_text(text)
        self._ssh_config.chmod(0o600)

    async def close(self) -> None:
        """End the kept connections."""
        for socket in self._control.glob("*"):
            await proc.run(close_connection(socket, self._ssh_config), timeout=10)
        shutil.rmtree(self._control, ignore_errors=True)

    def mirror_of(self, url: str) -> Path:
        return self._mirrors / f"{hashlib.sha256(url.encode()).hexdigest()[:32]}.git"

    def in_use(self, mirror: Path) -> bool:
        """Whether a job may still be reading what it fetched."""
        return time.monotonic() - self._handed_out.get(mirror, -IN_USE_SECONDS) < IN_USE_SECONDS

    def lock_of(self, mirror: Path) -> asyncio.Lock:
        return self._locks.setdefault(mirror, asyncio.Lock())

    def _git(self, url: str) -> Git:
        env = environment(self._settings.workdir, self._ssh_config)
        return Git(self.mirror_of(url), env, self._settings.max_source_bytes)

    async def fetch(self, url: str, ref: str) -> Commit:
        """Bring the mirror up to date and find the commit. Raises JobFailed with one of the GIT_* codes.

        A full commit that the mirror has needs no word with the server: it can't have changed.
        """
        git = self._git(url)
        async with self.lock_of(git.mirror):
            self._handed_out[git.mirror] = time.monotonic()
            if not git.mirror.exists():
                await self._init(git)
            elif len(ref) == 40 and (sha := await self._resolve(git, ref)):
                os.utime(git.mirror)
                return Commit.of(git, sha)
            await retrying(
                lambda: self._fetch(git, url),
                seconds=self._settings.retry_seconds,
                when=lambda e: e.code is FailureCode.GIT_UNREACHABLE,
            )
            os.utime(git.mirror)
            sha = await self._resolve(git, ref)
            if sha:
                return Commit.of(git, sha)
            empty = not (await proc.run(git.any_ref(), timeout=QUICK)).text
        raise JobFailed(FailureCode.GIT_EMPTY) if empty else JobFailed(FailureCode.GIT_REF_NOT_FOUND, ref=ref)

    async def _init(self, git: Git) -> None:
        """Made aside and renamed: a Runner killed in between leaves no half of one."""
        aside = git.mirror.with_suffix(".new")
        await remove_tree(aside)
        done = await proc.run(git.init(aside), timeout=QUICK)
        if done.code != 0:
            raise JobFailed(FailureCode.INTERNAL, last_lines(done.error_text), detail="git init")
        aside.rename(git.mirror)

    async def _fetch(self, git: Git, url: str) -> None:
        said = await self._try_fetch(git, url)
        if said is None:
            return
        failed = await diagnose(url, self._settings)
        if failed is None:
            # The server lets us in: it came back just now, or it is about the repository itself, or about our mirror of it.
            said = await self._try_fetch(git, url)
            if said is not None and (await proc.run(git.ask(url), timeout=self._settings.clone_seconds)).code == 0:
                await self.drop(git.mirror)
                await self._init(git)
                said = await self._try_fetch(git, url)
                failed = JobFailed(FailureCode.INTERNAL, detail="git fetch")
            if said is None:
                return
        failed = failed or JobFailed(FailureCode.GIT_AUTH)
        failed.lines = failed.lines or said
        raise failed

    async def _try_fetch(self, git: Git, url: str) -> list[str] | None:
        """None when it worked, else git's last words. What a fetch that was cut short left in the mirror is removed."""
        whole = False
        try:
            done = await proc.run(git.fetch(url), timeout=self._settings.clone_seconds)
            whole = done.code == 0
        except proc.ProcessTimeout as e:
            raise JobFailed(FailureCode.GIT_UNREACHABLE, [str(e)], host=urlsplit(url).netloc) from e
        finally:
            largest = 0 if whole else await asyncio.shield(asyncio.to_thread(remove_unfinished, git.mirror))
        if largest >= git.max_bytes:
            raise _too_large(git.max_bytes, f"> {git.max_bytes}")
        return None if whole else last_lines(done.error_text)

    async def drop(self, mirror: Path) -> None:
        """Forget a mirror; the next fetch makes it anew. The caller holds its lock."""
        await remove_tree(mirror)

    async def pack(self, mirror: Path) -> None:
        """Housekeeping of one mirror, while no fetch runs in it."""
        env = environment(self._settings.workdir, self._ssh_config)
        async with self.lock_of(mirror):
            try:
                await proc.run(Git(mirror, env, self._settings.max_source_bytes).gc(), timeout=PACK_SECONDS)
            except proc.ProcessTimeout:
                await asyncio.to_thread(remove_unfinished, mirror)

    async def _resolve(self, git: Git, ref: str) -> str | None:
        names = candidates(ref)
        done = await proc.run(git.resolve(), timeout=QUICK, input="".join(f"{n}\n" for n in names).encode())
        for line in done.text.splitlines():
            words = line.split()
            if len(words) == 3 and words[1] == "commit":
                return words[0]
        return None

    async def text(self, commit: Commit, path: str, *, limit: int) -> str | None:
        """A file of the commit as text, or None when it isn't there."""
        done = await proc.run(commit.git.show(commit.sha, path), timeout=QUICK, max_output=limit + 1)
        return done.out.decode("utf-8", "replace") if done.code == 0 else None

    async def entries(self, commit: Commit) -> list[Entry]:
        """All files of the commit. Raises JobFailed over the limits: a few objects can name billions of files."""
        listing = bytearray()

        async def take(piece: bytes) -> None:
            nonlocal files
            files += piece.count(b"\0")
            listing.extend(piece)
            if files > MAX_FILES or len(listing) > MAX_LISTING:
                what = both("too_many_files", n=MAX_FILES)
                raise JobFailed(FailureCode.GIT_UNSUPPORTED, what=what, path=commit.sha[:12])

        files = 0
        async with asyncio.timeout(QUICK), proc.spawn(commit.git.tree(commit.sha), stderr=asyncio.subprocess.DEVNULL) as child:
            assert child.process.stdout is not None
            await proc.pump(child.process.stdout, take)
        return await asyncio.to_thread(parse_tree, bytes(listing))

    @asynccontextmanager
    async def checked_out(self, commit: Commit, job_dir: Path) -> AsyncIterator[Path]:
        """The commit's files in a folder of their own, removed on leaving. Raises JobFailed for what is not supported."""
        entries = await self.entries(commit)
        await asyncio.to_thread(refuse_unsupported, entries, self._settings.max_source_bytes)
        folder = job_dir / "src"
        folder.mkdir()
        try:
            done = await proc.run(
                commit.git.checkout(commit.sha, folder, job_dir / "index"), timeout=self._settings.clone_seconds
            )
            if done.code != 0:
                # Its objects can't be read: the next fetch gets them anew.
                async with self.lock_of(commit.git.mirror):
                    await self.drop(commit.git.mirror)
                raise JobFailed(FailureCode.INTERNAL, last_lines(done.error_text), detail="git checkout")
            if any(e.path.rpartition("/")[2] == ".gitattributes" for e in entries):
                await asyncio.to_thread(refuse_lfs, folder, entries)
            yield folder
        finally:
            await remove_tree(folder)


def _control_folder(workdir: Path) -> Path:
    """Where ssh keeps its sockets: their paths may have 107 bytes, 60 of which are ssh's own, and a work dir may be deep."""
    folder = workdir / "ssh"
    if len(str(folder)) <= 40:
        return folder
    name = hashlib.sha256(str(workdir.resolve()).encode()).hexdigest()[:12]
    return Path(tempfile.gettempdir()) / f"funai-ssh-{os.getuid()}-{name}"


def parse_tree(listing: bytes) -> list[Entry]:
    """``git ls-tree -r -l -z`` to entries."""
    out: list[Entry] = []
    for record in listing.split(b"\0"):
        head, tab, path = record.partition(b"\t")
        if tab:
            mode, _, _, size = head.split()
            out.append(Entry(mode.decode(), int(size) if size != b"-" else 0, path.decode("utf-8", "surrogateescape")))
    return out


def refuse_unsupported(entries: list[Entry], max_bytes: int) -> None:
    """Submodules and trees past the limit. Raises JobFailed."""
    for entry in entries:
        if entry.path.count("/") >= MAX_DEPTH:
            raise JobFailed(FailureCode.GIT_UNSUPPORTED, what=both("nested_too_deep"), path=_shown(entry.path))
        if entry.mode == _SUBMODULE:
            raise JobFailed(FailureCode.GIT_UNSUPPORTED, what=both("submodule"), path=_shown(entry.path))
    total = sum(e.size for e in entries)
    if total > max_bytes:
        raise _too_large(max_bytes, str(total))


def _too_large(limit: int, size: str) -> JobFailed:
    return JobFailed(FailureCode.GIT_UNSUPPORTED, what=both("source_too_large", limit=limit), path=size)


def remove_unfinished(mirror: Path) -> int:
    """Remove locks and half-written objects that a killed git left: a lock would fail every later fetch. Answers the
    largest half-written file's size in bytes.
    """
    largest = 0
    for folder, _, names in os.walk(mirror):
        for name in names:
            if name.endswith(".lock") or name.startswith("tmp_"):
                path = Path(folder, name)
                with suppress(FileNotFoundError):
                    largest = max(largest, path.stat().st_size)
                    path.unlink()
    return largest


def refuse_lfs(folder: Path, entries: list[Entry]) -> None:
    """LFS pointers would silently be built as if they were the files. Raises JobFailed."""
    attributes = [e for e in entries if e.path.rpartition("/")[2] == ".gitattributes" and e.mode != _LINK]
    if not any(uses_lfs(_head(folder / e.path)) for e in attributes):
        return
    for entry in entries:
        if entry.size < 1024 and entry.mode != _LINK and (folder / entry.path).read_bytes().startswith(_LFS_POINTER):
            raise JobFailed(FailureCode.GIT_UNSUPPORTED, what=both("lfs_file"), path=_shown(entry.path))


def _head(file: Path) -> str:
    """As much of a ``.gitattributes`` as git itself would care to read."""
    with file.open("rb") as f:
        return f.read(MAX_ATTRIBUTES).decode("utf-8", "replace")


def _shown(path: str) -> str:
    return path.encode("utf-8", "replace").decode()[:200]
