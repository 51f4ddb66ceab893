"""Why a program did not start although its container did: what the files of the container show.

With an init program as process 1 no engine names the file at fault: the init can't execute it and ends. The rules are pure
(``fault_in``); ``StartFaults`` looks the files up.
"""

from __future__ import annotations

import itertools
import posixpath
import shlex
import struct
from collections.abc import Awaitable, Callable, Iterator, Sequence

from funai.agent.workload.contract import FileHead, Image
from funai.i18n.reasons import Words

Read = Callable[[str], Awaitable[FileHead | None]]
CAN_NOT_EXECUTE, NOT_FOUND = 126, 127
SHELL_SYNTAX = 2
STATUSES = (1, SHELL_SYNTAX, CAN_NOT_EXECUTE, NOT_FOUND, 255)
"""Exit statuses of the init programs and shells that could not execute something."""
_BOM = b"\xef\xbb\xbf"
MAX_FILES = 8
LAUNCHER = "funai-start"
"""``sh funai-start "npm's start script"``: how the standard image runs what isn't a plain command."""
SHELLS = frozenset({"sh", "bash", "dash", "ash", "busybox"})
MACHINES = {3: "386", 8: "mips", 20: "ppc", 21: "ppc64le", 22: "s390x", 40: "arm", 62: "amd64", 183: "arm64", 243: "riscv64"}
RUNS = {"amd64": {"amd64", "386"}, "arm64": {"arm64", "arm"}}
"""Architectures that a node of the first runs."""
_PT_INTERP = 3


def fault_in(file: FileHead, name: str, architecture: str) -> Words | None:
    """What keeps this file from being executed on a node of ``architecture``, as far as the file itself shows."""
    if not file.mode & 0o111:
        return Words(f"{name} 没有可执行权限（chmod +x）", f"{name} is not executable (chmod +x)")
    if file.head.startswith(b"\x7fELF"):
        built_for = elf_architecture(file.head)
        if built_for and built_for not in RUNS.get(architecture, {architecture}):
            return Words(
                f"{name} 是为 {built_for} 构建的，本节点是 {architecture}",
                f"{name} is built for {built_for}, this node is {architecture}",
            )
        return None
    if file.head.startswith(_BOM + b"#!"):
        return Words(
            f"{name} 以字节顺序标记（BOM）开头，请存为不带 BOM 的 UTF-8",
            f"{name} begins with a byte order mark; save it as UTF-8 without one",
        )
    line = file.head.partition(b"\n")[0]
    if line.startswith(b"#!"):
        if line.endswith(b"\r"):
            return Words(
                f"{name} 的首行以 CR 结尾（Windows 换行符），请改为 LF",
                f"{name}: its first line ends in CR (Windows line ends); save it with LF",
            )
        return None
    if b"\0" in file.head:
        return Words(f"{name} 不是本机能执行的程序", f"{name} is no program that this node can execute")
    return None


def interpreter(file: FileHead) -> str:
    """The program that a file needs beside itself: its ``#!`` line's, or an ELF file's loader; empty when it needs none."""
    if file.head.startswith(b"#!"):
        words = file.head.partition(b"\n")[0][2:].decode("utf-8", "replace").split()
        return words[0] if words else ""
    return _elf_loader(file.head)


def env_program(file: FileHead) -> str:
    """What ``#!/usr/bin/env NAME`` runs; empty for another first line."""
    words = file.head.partition(b"\n")[0].decode("utf-8", "replace").split() if file.head.startswith(b"#!") else []
    if not words or posixpath.basename(words[0].removeprefix("#!")) != "env":
        return ""
    named = [w for w in words[1:] if not w.startswith("-") and "=" not in w]
    return named[0] if named else ""


def elf_architecture(head: bytes) -> str:
    """``arm64`` and so on, from an ELF header; empty when it is unknown."""
    if len(head) < 20:
        return ""
    (machine,) = struct.unpack("<H" if head[5] != 2 else ">H", head[18:20])
    return MACHINES.get(machine, "")


def _elf_loader(head: bytes) -> str:
    """Of a 64-bit little-endian file; others are not looked into."""
    if not head.startswith(b"\x7fELF\x02\x01") or len(head) < 64:
        return ""
    (offset,) = struct.unpack_from("<Q", head, 32)
    size, count = struct.unpack_from("<HH", head, 54)
    for i in range(min(count, 32)):
        at = offset + i * size
        if at + 56 > len(head):
            return ""
        (kind,) = struct.unpack_from("<I", head, at)
        begin, length = struct.unpack_from("<Q", head, at + 8)[0], struct.unpack_from("<Q", head, at + 32)[0]
        if kind == _PT_INTERP:
            return head[begin : begin + length].rstrip(b"\0").decode("utf-8", "replace") if begin + length <= len(head) else ""
    return ""


def named_files(command: Sequence[str]) -> Iterator[str]:
    """Words behind the program that may name a file to be executed, those inside ``sh -c`` too."""
    shell = bool(command) and posixpath.basename(command[0]) in SHELLS
    for before, word in itertools.pairwise(command):
        words = [word]
        if shell and before.startswith("-") and before.endswith("c"):
            try:
                words = shlex.split(word)
            except ValueError:
                continue
        yield from (w for w in words if "/" in w and not w.startswith("-") and "://" not in w)


def unlaunched(command: Sequence[str]) -> Sequence[str]:
    """The words that the standard image's launcher runs, where they are one plain command; else the command as it stands."""
    if len(command) != 3 or posixpath.basename(command[1]) != LAUNCHER:
        return command
    try:
        return shlex.split(command[2]) or command
    except ValueError:
        return command


class StartFaults:
    """Looks into one container. ``read`` answers for an absolute path; ``platform`` is the node's."""

    def __init__(self, read: Read, image: Image, platform: str) -> None:
        self._read, self._image, self._architecture = read, image, platform.rpartition("/")[2]

    async def find(self, exit_code: int | None) -> Words | None:
        """The fault, if the files show one. Raises what ``read`` raises."""
        command = self._image.command
        if not command:
            return None
        if fault := await self._program(command[0], must_exist=True):
            return fault
        if fault := await self._script(command) or await self._behind_entrypoint(command):
            return fault
        if exit_code in (CAN_NOT_EXECUTE, NOT_FOUND):
            for word in list(dict.fromkeys(named_files(command)))[:MAX_FILES]:
                if fault := await self._program(word, must_exist=False):
                    return fault
        return self._foreign_image()

    async def _program(self, name: str, *, must_exist: bool) -> Words | None:
        file = await self._look_up(name)
        if file is None:
            missing = Words(f"镜像里没有 {name}", f"{name} is not in the image")
            return missing if must_exist else None
        if not must_exist and not file.mode & 0o111:
            return None  # an argument that is a file: read, and not executed
        if fault := fault_in(file, name, self._architecture):
            return fault
        needed = interpreter(file)
        if needed.startswith("/") and await self._read(needed) is None:
            return Words(f"{name} 需要 {needed}，镜像里没有", f"{name} needs {needed}, which is not in the image")
        if (runs := env_program(file)) and await self._look_up(runs) is None:
            return Words(f"{name} 需要 {runs}，镜像里没有", f"{name} needs {runs}, which is not in the image")
        return None

    async def _behind_entrypoint(self, command: Sequence[str]) -> Words | None:
        """Node's official image takes a command that it can't find for a script: "Cannot find module '/app/pnpm'"."""
        if len(command) < 2 or posixpath.basename(command[0]) != "docker-entrypoint.sh":
            return None
        name = command[1]
        if not name or name.startswith("-") or "/" in name or await self._look_up(name):
            return None
        for script in (name, f"{name}.js"):
            if await self._read(posixpath.normpath(posixpath.join("/", self._image.workdir, script))):
                return None
        return Words(f"镜像里没有 {name}", f"{name} is not in the image")

    async def _script(self, command: Sequence[str]) -> Words | None:
        """A shell takes the CR of Windows line ends for a part of its commands: ``sh start.sh``."""
        command = unlaunched(command)
        if posixpath.basename(command[0]) not in SHELLS or len(command) < 2 or command[1].startswith("-"):
            return None
        file = await self._read(posixpath.normpath(posixpath.join("/", self._image.workdir, command[1])))
        if file is None or b"\r\n" not in file.head:
            return None
        name = command[1]
        return Words(
            f"{name} 的行以 CR 结尾（Windows 换行符），请改为 LF", f"{name} has Windows line ends (CR); save it with LF"
        )

    async def _look_up(self, name: str) -> FileHead | None:
        if "/" in name:
            return await self._read(posixpath.normpath(posixpath.join("/", self._image.workdir, name)))
        for folder in self._image.path:
            if file := await self._read(posixpath.join(folder, name)):
                return file
        return None

    def _foreign_image(self) -> Words | None:
        built_for = self._image.platform.rpartition("/")[2]
        if not built_for or built_for in RUNS.get(self._architecture, {self._architecture}):
            return None
        return Words(
            f"镜像是为 {built_for} 构建的，本节点是 {self._architecture}",
            f"the image is built for {built_for}, this node is {self._architecture}",
        )
