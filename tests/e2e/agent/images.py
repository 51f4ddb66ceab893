"""Small images made from one static busybox: each an app of one temper. Imported, so no registry is needed."""

from __future__ import annotations

import io
import json
import shutil
import struct
import subprocess
import tarfile
from collections.abc import Mapping, Sequence
from pathlib import Path

APPLETS = (
    "sh",
    "httpd",
    "nc",
    "wget",
    "sleep",
    "cat",
    "echo",
    "nslookup",
    "dd",
    "head",
    "tail",
    "id",
    "env",
    "timeout",
    "kill",
)
TRY = """#!/bin/sh
# Asked as /cgi-bin/try?10.0.0.1:80 : can this app open that connection?
printf 'Content-Type: text/plain\\r\\n\\r\\n'
host=${QUERY_STRING%:*}; port=${QUERY_STRING##*:}
if nc -w 2 "$host" "$port" -e /bin/echo 2>/dev/null; then echo open; else echo closed; fi
"""
RESOLVE = """#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n'
timeout 5 nslookup "$QUERY_STRING" 2>&1
"""
STATUS = """#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n'
cat /proc/self/status; cat /proc/1/cmdline; echo; env
"""
SLOW = """#!/bin/sh
printf 'Content-Type: text/plain\\r\\n\\r\\n'
echo begun; read -r _; echo finished
"""
SERVE = ("/bin/httpd", "-f", "-p", "3000", "-h", "/www")

TEMPERS: Mapping[str, Sequence[str]] = {
    "web": SERVE,
    "port80": ("/bin/httpd", "-f", "-p", "80", "-h", "/www"),
    "loopback": ("/bin/httpd", "-f", "-p", "127.0.0.1:3000", "-h", "/www"),
    "exits": ("/bin/sh", "-c", "echo about to fail; echo no such module >&2; exit 3"),
    "idle": ("/bin/sleep", "600"),
    "broken": ("/bin/sh", "-c", "while :; do printf 'HTTP/1.0 503 x\\r\\n\\r\\n' | nc -l -p 3000 >/dev/null; done"),
    "hungry": ("/bin/sh", "-c", "echo eating; head -c 400000000 /dev/zero | tail"),
    "pid1": (
        "/bin/sh",
        "-c",
        "[ $$ = 1 ] || { echo 's6: fatal: can only run as pid 1'; exit 100; }; exec /bin/httpd -f -p 3000 -h /www",
    ),
    "wrapped": ("/bin/sh", "-c", "/bin/sh /graceful.sh; true"),
    "crlf": ("/crlf.sh",),
    "noshell": ("/noshell.sh",),
    "noexec": ("/noexec.sh",),
    "arm64": ("/bin/sh", "-c", "exec /arm64"),
    "crashes": ("/bin/sh", "-c", "httpd -p 3000 -h /www; sleep 1.5; echo crashing; exit 7"),
}

ARM64 = b"\x7fELF\x02\x01\x01" + bytes(9) + struct.pack("<HHIQQQIHHHHHH", 2, 183, 1, 0, 64, 0, 0, 64, 56, 0, 0, 0, 0)
GRACEFUL = f"trap 'echo TERM; sleep 1; echo bye; exit 0' TERM\n{' '.join(SERVE)} &\nwhile :; do wait; done\n".encode()
FILES = {
    "graceful.sh": (GRACEFUL, 0o755),
    "crlf.sh": (b"#!/bin/sh\r\n", 0o755),
    "noshell.sh": (b"#!/bin/nosuch\n", 0o755),
    "noexec.sh": (b"#!/bin/sh\n", 0o644),
    "arm64": (ARM64, 0o755),
}
"""Programs that can't be executed."""
FAULTS: Mapping[str, Sequence[str]] = {"nouser": ("USER nosuchuser",), "nogroup": ("USER 0:nosuchgroup",)}
"""Images that no container can be started of, by what is wrong with them."""


def image(temper: str) -> str:
    return f"localhost/funai-test-{temper}:1"


def tree(greeting: str = "web") -> bytes:
    """The root file system as a tar."""
    busybox = shutil.which("busybox") or "/bin/busybox"
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for folder in ("bin", "tmp", "www", "www/cgi-bin", "proc", "sys", "dev", "etc"):
            _add(tar, folder, None, 0o1777 if folder == "tmp" else 0o755)
        _add(tar, "bin/busybox", Path(busybox).read_bytes(), 0o755)
        for applet in APPLETS:
            link = tarfile.TarInfo(f"bin/{applet}")
            link.type, link.linkname = tarfile.SYMTYPE, "busybox"
            tar.addfile(link)
        _add(tar, "www/index.html", f"{greeting}\n".encode(), 0o644)
        for name, script in (("try", TRY), ("resolve", RESOLVE), ("status", STATUS), ("slow", SLOW)):
            _add(tar, f"www/cgi-bin/{name}", script.encode(), 0o755)
        for name, (content, mode) in FILES.items():
            _add(tar, name, content, mode)
    return out.getvalue()


def _add(tar: tarfile.TarFile, name: str, content: bytes | None, mode: int) -> None:
    entry = tarfile.TarInfo(name)
    entry.mode = mode
    if content is None:
        entry.type = tarfile.DIRTYPE
        tar.addfile(entry)
    else:
        entry.size = len(content)
        tar.addfile(entry, io.BytesIO(content))


def import_all(binary: str, env: Mapping[str, str], folder: Path, tempers: Sequence[str] = tuple(TEMPERS)) -> None:
    """Import the images of these tempers into an engine's store by its program."""
    source = folder / "busybox.tar"
    source.write_bytes(tree())
    for temper in tempers:
        import_one(binary, env, source, image(temper), TEMPERS[temper])
    for temper, changes in FAULTS.items():
        import_one(binary, env, source, image(temper), SERVE, changes)


def import_one(
    binary: str, env: Mapping[str, str], source: Path, name: str, cmd: Sequence[str], more: Sequence[str] = ()
) -> None:
    lines = (f"CMD {json.dumps(list(cmd))}", "ENV PATH=/bin", *more)
    changes = [word for line in lines for word in ("--change", line)]
    done = subprocess.run(
        [binary, "import", *changes, str(source), name], env=dict(env), capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
