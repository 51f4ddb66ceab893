"""Enters the wall: run as a program of its own (``python -I -S launch.py SPEC bwrap …``), it imports nothing of ours.

As the host's root it joins the build's control groups and network, gathers the folders of the build where the mapped ids
can reach them, becomes root of a new user namespace, and then executes bubblewrap, which makes all the other namespaces.
``SPEC`` is JSON: see :class:`funai.runner.sandbox.wall.Entry`.
"""

import ctypes
import json
import os
import sys
from typing import Any

NEWNS, NEWUSER, NEWNET = 0x00020000, 0x10000000, 0x40000000
RDONLY, NOSUID, NODEV, NOEXEC, BIND, REC, PRIVATE = 0x1, 0x2, 0x4, 0x8, 0x1000, 0x4000, 0x40000
libc = ctypes.CDLL(None, use_errno=True)


def checked(result: int) -> None:
    if result != 0:
        error = ctypes.get_errno()
        raise OSError(error, os.strerror(error))


def mount(source: str, target: str, kind: str | None, flags: int, data: str | None = None) -> None:
    words = [w.encode() if w is not None else None for w in (source, target, kind)]
    checked(libc.mount(*words, ctypes.c_ulong(flags), data.encode() if data else None))


def join(spec: dict[str, Any]) -> None:
    for group in spec["cgroups"]:
        with open(group + "/cgroup.procs", "w") as procs:
            procs.write(str(os.getpid()))
    if spec["network"]:
        fd = os.open(spec["network"], os.O_RDONLY)
        checked(libc.setns(fd, NEWNET))
        os.close(fd)


def gather(stage: str, sources: list[str]) -> None:
    """The sources as ``stage/0``, ``stage/1`` …, and the network's own ``/sys``; in a mount namespace of this process."""
    checked(libc.unshare(NEWNS))
    mount("none", "/", None, REC | PRIVATE)
    mount("tmpfs", stage, "tmpfs", NOSUID | NODEV, "mode=755,size=1m")
    for number, source in enumerate(sources):
        place = f"{stage}/{number}"
        if os.path.isdir(source):
            os.mkdir(place)
        else:
            os.close(os.open(place, os.O_CREAT | os.O_WRONLY, 0o644))
        mount(source, place, None, BIND | REC)
    os.mkdir(f"{stage}/sys")
    mount("sysfs", f"{stage}/sys", "sysfs", RDONLY | NOSUID | NODEV | NOEXEC)


def become_root_of_a_user_namespace(first: int, count: int) -> None:
    """A child, still with the host's rights, writes the maps: the ids inside are ``count`` of the host's from ``first``."""
    me = os.getpid()
    ready, go = os.pipe()
    child = os.fork()
    if child == 0:
        os.read(ready, 1)
        for name in ("uid_map", "gid_map"):
            with open(f"/proc/{me}/{name}", "w") as file:
                file.write(f"0 {first} {count}\n")
        os._exit(0)
    checked(libc.unshare(NEWUSER))
    os.write(go, b"1")
    if os.waitpid(child, 0)[1] != 0:
        raise OSError("the user namespace's ids could not be mapped")
    os.close(ready)
    os.close(go)
    os.setgroups([])
    os.setresgid(0, 0, 0)
    os.setresuid(0, 0, 0)


def main() -> None:
    spec = json.loads(sys.argv[1])
    os.umask(0o022)
    join(spec)
    gather(spec["stage"], spec["sources"])
    become_root_of_a_user_namespace(spec["first_id"], spec["ids"])
    os.execve(sys.argv[2], sys.argv[2:], {})


if __name__ == "__main__":
    try:
        main()
    except OSError as e:
        sys.stderr.write(f"the build's sandbox can't be entered: {e}\n")
        sys.exit(125)
