"""git's command lines. Nothing from a payload ever stands where git could read an option."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from funai.base.process.gitlimits import bounded
from funai.base.process.proc import Command

_BASE = (
    "git",
    "-c",
    "core.hooksPath=/dev/null",
    "-c",
    "gc.auto=0",
    "-c",
    "advice.detachedHead=false",
    "-c",
    "core.fsmonitor=false",
    "-c",
    "core.symlinks=true",
)


@dataclass(frozen=True, slots=True)
class Git:
    """The commands of one bare mirror. ``env`` comes from :func:`environment`."""

    mirror: Path
    env: Mapping[str, str]
    max_bytes: int
    """Largest file a fetch may write: bounds the pack."""

    def _git(self, *words: str, cwd: Path | None = None, env: Mapping[str, str] | None = None) -> Command:
        return Command((*_BASE, f"--git-dir={self.mirror}", *words), cwd=cwd, env={**self.env, **(env or {})})

    def init(self, folder: Path) -> Command:
        """An empty mirror in ``folder``, which is renamed to its place when it is whole."""
        return Command((*_BASE, "init", "--quiet", "--bare", "--initial-branch=main", "--template=", str(folder)), env=self.env)

    def ask(self, url: str) -> Command:
        """Exit status 0 when the repository is there and may be read; the mirror is not looked at."""
        return Command((*_BASE, "ls-remote", "--quiet", "--heads", "--", url), cwd=Path("/"), env=self.env)

    def fetch(self, url: str) -> Command:
        """Everything that is new, in one connection; branches and tags that are gone there go here."""
        # Version 2 asks for the references in a second round trip; we take nearly all of them anyway.
        fetch = self._git(
            "-c",
            "protocol.version=0",
            "fetch",
            "--quiet",
            "--force",
            "--prune",
            "--no-tags",
            "--no-recurse-submodules",
            "--no-write-fetch-head",
            "--no-auto-maintenance",
            "--update-shallow",
            "--",
            url,
            "+refs/heads/*:refs/heads/*",
            "+refs/tags/*:refs/tags/*",
        )
        return Command(bounded(fetch.argv, file_bytes=self.max_bytes), env=fetch.env)

    def resolve(self) -> Command:
        """Reads one candidate a line on stdin, answers ``<sha> <type> <size>`` or ``<candidate> missing|ambiguous``."""
        return self._git("cat-file", "--batch-check")

    def any_ref(self) -> Command:
        return self._git("for-each-ref", "--count=1", "--format=%(refname)")

    def tree(self, sha: str) -> Command:
        """``<mode> <type> <oid> <size>\\t<path>`` entries, NUL-separated."""
        return self._git("ls-tree", "-r", "-l", "-z", "--full-tree", sha)

    def show(self, sha: str, path: str) -> Command:
        return self._git("cat-file", "blob", f"{sha}:{path}")

    def checkout(self, sha: str, folder: Path, index: Path) -> Command:
        """Writes the commit's files into an empty folder, with its modes; the mirror learns nothing of it."""
        command = self._git(
            f"--work-tree={folder}", "read-tree", "--reset", "-u", sha, cwd=folder, env={"GIT_INDEX_FILE": str(index)}
        )
        return replace(command, umask=0o022)

    def gc(self) -> Command:
        """Packs what many small fetches left, when it is much; readers beside it go on."""
        gc = self._git(
            "-c",
            "gc.auto=2000",
            "-c",
            "gc.autoDetach=false",
            "-c",
            "pack.threads=1",
            "-c",
            "pack.windowMemory=64m",
            "gc",
            "--auto",
            "--quiet",
        )
        return Command(("nice", "-n", "10", *gc.argv), env=gc.env)


def candidates(ref: str) -> list[str]:
    """What a ``gitRef`` may mean, in order: a full ref name, a branch, a tag, a commit (4–40 hex digits)."""
    out = [ref] if ref.startswith("refs/") else [f"refs/heads/{ref}", f"refs/tags/{ref}"]
    if 4 <= len(ref) <= 40 and all(c in "0123456789abcdefABCDEF" for c in ref):
        out.append(ref)
    return [f"{c}^{{commit}}" for c in out]


MUX_SECONDS = 120


def ssh_config(key: Path | None, known_hosts: Path | None, control: Path) -> str:
    """The runner's own ssh_config: one key, one pinned known_hosts, no questions. Paths are the operator's settings.

    A connection is kept for two minutes after its last use (``control`` is its socket's folder): the next fetch pays no
    key exchange, which is most of what a small fetch costs.
    """
    options = {
        "BatchMode": "yes",
        "StrictHostKeyChecking": "yes",
        "UpdateHostKeys": "no",
        "GlobalKnownHostsFile": "/dev/null",
        "UserKnownHostsFile": f'"{known_hosts or "/dev/null"}"',
        "IdentitiesOnly": "yes",
        "IdentityAgent": "none",
        "PreferredAuthentications": "publickey",
        "ForwardAgent": "no",
        "ForwardX11": "no",
        "ClearAllForwardings": "yes",
        "PermitLocalCommand": "no",
        "ControlMaster": "auto",
        "ControlPath": f'"{control}/%C"',
        "ControlPersist": str(MUX_SECONDS),
        "ConnectTimeout": "10",
        "ServerAliveInterval": "10",
        "ServerAliveCountMax": "3",
        "LogLevel": "ERROR",
    }
    if key:
        options["IdentityFile"] = f'"{key}"'
    return "Host *\n" + "".join(f"  {name} {value}\n" for name, value in options.items())


def close_connection(socket: Path, ssh_config_file: Path) -> Command:
    """End a kept connection by its socket."""
    return Command(("ssh", "-F", str(ssh_config_file), "-o", f"ControlPath={socket}", "-O", "exit", "any"))


def environment(home: Path, ssh_config_file: Path) -> dict[str, str]:
    """git's environment: ssh alone as a transport, no configuration but ours, no prompts.

    git hands ``GIT_SSH_COMMAND`` to a shell; only the operator's own path stands in it, quoted.
    """
    return {
        "HOME": str(home),
        "GIT_SSH_COMMAND": f"ssh -F {shlex.quote(str(ssh_config_file))}",
        "GIT_SSH_VARIANT": "ssh",
        "GIT_ALLOW_PROTOCOL": "ssh",
        "GIT_CONFIG_NOSYSTEM": "1",
        "GIT_CONFIG_GLOBAL": "/dev/null",
        "GIT_TERMINAL_PROMPT": "0",
        "GIT_ASKPASS": "/bin/false",
        "GIT_ATTR_NOSYSTEM": "1",
        "LC_ALL": "C.UTF-8",
    }
