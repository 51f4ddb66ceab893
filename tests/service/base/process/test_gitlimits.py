"""A pack of a few kilobytes that describes more than the machine's memory ends with git's own error."""

from __future__ import annotations

import hashlib
import struct
import subprocess
import zlib
from pathlib import Path

import pytest

from funai.base.process.gitlimits import MEMORY_BYTES, bounded

CHUNK = 0xFFFFFF
"""The most that one instruction of a delta copies, in bytes."""


def varint(n: int) -> bytes:
    out = bytearray()
    while n > 127:
        out.append(n & 127 | 128)
        n >>= 7
    return bytes([*out, n])


def header(kind: int, size: int) -> bytes:
    first, rest = size & 15 | kind << 4, size >> 4
    return bytes([first | 128]) + varint(rest) if rest else bytes([first])


def bomb(size: int) -> bytes:
    """A pack of one file and a delta that copies it until ``size`` bytes are full."""
    base, count = bytes(CHUNK), size // CHUNK + 1
    delta = varint(CHUNK) + varint(count * CHUNK) + b"\xf0\xff\xff\xff" * count
    name = hashlib.sha1(b"blob %d\0" % CHUNK + base).digest()
    pack = b"PACK" + struct.pack(">II", 2, 2) + header(3, CHUNK) + zlib.compress(base, 1)
    pack += header(7, len(delta)) + name + zlib.compress(delta)
    return pack + hashlib.sha1(pack).digest()


@pytest.mark.parametrize("program", ["index-pack", "unpack-objects"])
def test_a_delta_bomb_ends_at_the_limit(program: str, tmp_path: Path) -> None:
    subprocess.run(["git", "init", "-q", "--bare", str(tmp_path)], check=True)
    words = ["--stdin"] if program == "index-pack" else []
    argv = bounded(("git", f"--git-dir={tmp_path}", program, *words))
    for size, fits in ((3 * CHUNK, True), (MEMORY_BYTES, False)):
        done = subprocess.run(argv, input=bomb(size), capture_output=True, check=False)
        assert (done.returncode == 0) == fits, done.stderr
    assert b"memory" in done.stderr
