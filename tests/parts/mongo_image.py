"""A stand-in for MongoDB's published image, which tests can't pull: FerretDB behind an entry point of the same contract.

The contract, as the image's manual has it: ``mongod`` and its options as words; ``MONGO_INITDB_ROOT_USERNAME`` and
``MONGO_INITDB_ROOT_PASSWORD_FILE`` make the first account in an empty ``/data/db``, by a server on port 27017 of the loopback
that asks for none; then the server starts as it was told. Runs as any account; ends at SIGTERM.
"""

from __future__ import annotations

import io
import os
import re
import shutil
import subprocess
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from funai.base.process.proc import Command
from funai.standalone.parts.engine import EngineChoice
from scripts.ferretdb import binary

ENTRY = """#!/bin/sh
[ "$1" = mongod ] || exec "$@"
shift
port=27017 bind=127.0.0.1 prefix=/tmp
while [ $# -gt 0 ]; do
  case "$1" in
    --port) port=$2; shift 2 ;;
    --bind_ip) bind=$2; shift 2 ;;
    --unixSocketPrefix) prefix=$2; shift 2 ;;
    --nounixsocket) prefix=; shift ;;
    --wiredTigerCacheSizeGB) shift 2 ;;
    --auth | --quiet) shift ;;
    *) echo "Error parsing command line: unrecognised option '$1'" >&2; exit 2 ;;
  esac
done
serve() {
  at=$1 socket=$2; shift 2
  exec /ferretdb --handler=sqlite --sqlite-url=file:/data/db/ --state-dir=/data/db --telemetry=disable --debug-addr=- \\
    --log-level=error --test-enable-new-auth --listen-addr="$at" ${socket:+--listen-unix="$socket"} "$@"
}
if [ ! -e /data/db/admin.sqlite ] && [ -n "$MONGO_INITDB_ROOT_USERNAME" ]; then
  password=$(cat "$MONGO_INITDB_ROOT_PASSWORD_FILE")
  first=${prefix:-/tmp}/mongodb-27017.sock
  (serve 127.0.0.1:27017 "$first" --setup-database=admin --setup-username="$MONGO_INITDB_ROOT_USERNAME" \\
    --setup-password="$password") &
  while [ ! -S "$first" ]; do kill -0 $! || exit 1; sleep 0.05; done
  kill $!
  wait $!
fi
unset MONGO_INITDB_ROOT_USERNAME MONGO_INITDB_ROOT_PASSWORD_FILE
serve "$bind:$port" "${prefix:+$prefix/mongodb-$port.sock}"
"""


def _files(entry: str) -> Iterator[tuple[str, bytes]]:
    ferret, busybox = binary(), shutil.which("busybox")
    assert ferret is not None and busybox is not None
    yield "ferretdb", ferret.read_bytes()
    for tool in ("sh", "cat", "sleep", "kill"):
        yield f"bin/{tool}", Path(busybox).read_bytes()
    said = subprocess.run(["ldd", str(ferret)], capture_output=True, text=True, check=True).stdout
    for library in re.findall(r"(/\S+) \(0x", said):
        yield library.lstrip("/"), Path(library).read_bytes()
    yield "entry", entry.encode()


@contextmanager
def mongo_image(engine: EngineChoice, name: str, entry: str = ENTRY) -> Iterator[str]:
    """The image in the machine's engine for as long as the context lasts."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w") as out:
        for folder in ("data/db", "tmp", "proc", "sys", "dev", "etc", "run"):
            about = tarfile.TarInfo(folder)
            about.type, about.mode = tarfile.DIRTYPE, 0o1777
            out.addfile(about)
        for path, data in _files(entry):
            about = tarfile.TarInfo(path)
            about.size, about.mode = len(data), 0o755
            out.addfile(about, io.BytesIO(data))
    _run(engine.cli("import", "--change", 'ENTRYPOINT ["/entry"]', "-", name), given=tar.getvalue())
    try:
        yield name
    finally:
        _run(engine.cli("rmi", "--force", name))


def _run(command: Command, given: bytes | None = None) -> None:
    env = {**os.environ, **(command.env or {})}
    subprocess.run(command.argv, env=env, input=given, check=True, capture_output=True, timeout=120)
