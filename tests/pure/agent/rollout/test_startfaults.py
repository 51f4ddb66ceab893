"""What the files of a container tell about a program that did not start."""

from __future__ import annotations

import struct

import pytest

from funai.agent.rollout.startfaults import StartFaults, elf_architecture, fault_in, interpreter, named_files
from funai.agent.workload.contract import FileHead, Image

LOADER = "/lib64/ld-linux-x86-64.so.2"


def elf(machine: int, loader: str = "") -> bytes:
    """The header of a 64-bit program, with one program header when it names a loader."""
    head = b"\x7fELF" + bytes([2, 1, 1, 0]) + bytes(8)
    head += struct.pack("<HHIQQQIHHHHHH", 2, machine, 1, 0, 64, 0, 0, 64, 56, 1 if loader else 0, 0, 0, 0)
    if loader:
        text = loader.encode() + b"\0"
        head += struct.pack("<IIQQQQQQ", 3, 4, 120, 0, 0, len(text), len(text), 1) + text
    return head


def file(head: bytes, mode: int = 0o755, path: str = "/x") -> FileHead:
    return FileHead(path, mode, head)


def test_an_elf_header_names_its_architecture_and_loader() -> None:
    assert [elf_architecture(elf(m)) for m in (62, 183, 40, 999)] == ["amd64", "arm64", "arm", ""]
    assert interpreter(file(elf(62, LOADER))) == LOADER
    assert interpreter(file(elf(62))) == ""


@pytest.mark.parametrize("head", [b"", b"\x7fELF", b"\x7fELF\x02\x01" + bytes(10), elf(62, LOADER)[:80], b"#!", b"#!\n"])
def test_a_head_that_is_cut_anywhere_is_no_crash(head: bytes) -> None:
    fault_in(file(head), "x", "amd64")
    assert interpreter(file(head)) in ("", LOADER)


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (file(b"#!/bin/sh\r\nexec node\r\n"), "its first line ends in CR"),
        (file(b"#!/bin/sh\n", 0o644), "x is not executable (chmod +x)"),
        (file(elf(183)), "x is built for arm64, this node is amd64"),
        (file(b"\0\1\2"), "no program that this node can execute"),
        (file(b"#!/bin/sh\necho\r\n"), ""),
        (file(elf(62)), ""),
        (file(elf(3)), ""),
        (file(b"exec node server.js\n"), ""),
        (file(b"\xef\xbb\xbf#!/bin/sh\nexec node\n"), "begins with a byte order mark"),
    ],
)
def test_a_file_shows_why_it_can_not_be_executed(found: FileHead, words: str) -> None:
    fault = fault_in(found, "x", "amd64")
    assert words in (fault.en if fault else "")
    assert bool(fault) is bool(words)


def test_words_behind_a_program_may_name_files() -> None:
    assert list(named_files(["docker-entrypoint.sh", "/a", "node", "--import=./x", "http://h/"])) == ["/a"]
    assert list(named_files(["/bin/sh", "-c", "exec ./run --port 3000 'bad"])) == []
    assert list(named_files(["/bin/sh", "-ec", "exec ./run --port 3000"])) == ["./run"]


SHELL = {"/bin/sh": file(elf(62))}


ENTRYPOINT = {**SHELL, "/usr/bin/docker-entrypoint.sh": file(b"#!/bin/sh\n")}


def faults(files: dict[str, FileHead], *command: str, platform: str = "linux/amd64") -> StartFaults:
    async def read(path: str) -> FileHead | None:
        return files.get(path)

    return StartFaults(read, Image("i", (), platform, command, ("/usr/bin", "/bin"), "/app"), "linux/amd64")


@pytest.mark.parametrize(
    ("files", "command", "code", "words"),
    [
        ({}, ("/start.sh",), 1, "/start.sh is not in the image"),
        ({}, ("nodemon",), 127, "nodemon is not in the image"),
        ({"/start.sh": file(b"#!/bin/bash\n")}, ("/start.sh",), 1, "/start.sh needs /bin/bash, which is not in the image"),
        ({"/app/run": file(elf(62, LOADER))}, ("./run",), 127, f"./run needs {LOADER}, which is not in the image"),
        (
            {"/bin/e.sh": file(b"#!/bin/sh\n"), "/bin/sh": file(elf(62)), "/a": file(elf(183))},
            ("e.sh", "/a"),
            126,
            "/a is built for arm64",
        ),
        ({"/bin/sh": file(elf(62)), "/app/x": file(b"#!/bin/sh\r\n")}, ("/bin/sh", "-c", "./x"), 127, "./x: its first line"),
        ({"/bin/sh": file(elf(62)), "/app/x": file(b"data", 0o644)}, ("/bin/sh", "./x"), 127, ""),
        ({"/bin/sh": file(elf(62))}, ("/bin/sh", "-c", "/bin/false"), 1, ""),
        ({}, (), 1, ""),
        ({**ENTRYPOINT}, ("docker-entrypoint.sh", "pnpm", "start"), 1, "pnpm is not in the image"),
        ({**ENTRYPOINT, "/app/server.js": file(b"x", 0o644)}, ("docker-entrypoint.sh", "server.js"), 1, ""),
        ({**ENTRYPOINT, "/bin/node": file(elf(62))}, ("docker-entrypoint.sh", "node", "x.js"), 1, ""),
        ({"/go": file(b"#!/usr/bin/env bun\n"), "/usr/bin/env": file(elf(62))}, ("/go",), 127, "/go needs bun, which is not"),
        (
            {"/go": file(b"#!/usr/bin/env -S A=1 sh -e\n"), "/usr/bin/env": file(elf(62)), "/bin/sh": file(elf(62))},
            ("/go",),
            1,
            "",
        ),
        ({**SHELL, "/app/go.sh": file(b"set -e\r\nnode x\r\n", 0o644)}, ("sh", "go.sh"), 2, "go.sh has Windows line ends"),
        (
            {**SHELL, "/app/go.sh": file(b"set -e\r\nnode x\r\n", 0o644), "/usr/local/bin/funai-start": file(b"#!/bin/sh\n")},
            ("sh", "/usr/local/bin/funai-start", "sh go.sh"),
            1,
            "go.sh has Windows line ends",
        ),
        ({**SHELL, "/app/go.sh": file(b"exit 2\n", 0o644)}, ("sh", "go.sh"), 2, ""),
    ],
)
async def test_the_file_at_fault_is_named(files: dict[str, FileHead], command: tuple[str, ...], code: int, words: str) -> None:
    fault = await faults(files, *command).find(code)
    assert words in (fault.en if fault else "")
    assert bool(fault) is bool(words)


async def test_an_image_for_another_platform_is_told_so() -> None:
    fault = await faults({"/bin/sh": file(elf(62))}, "sh", platform="linux/arm64").find(126)
    assert fault is not None
    assert fault.en == "the image is built for arm64, this node is amd64"
