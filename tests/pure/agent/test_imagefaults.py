"""The words in which engines refuse to start a container, as real ones wrote them."""

from __future__ import annotations

import pytest

from funai.agent.engine.imagefaults import is_images_own
from funai.agent.rollout.failures import QUOTED, one_line

RUNC = "runc create failed: unable to start container process:"
NOT_FOUND = "OCI runtime attempted to invoke a command that was not found"
IMAGES = [
    "unable to find user nosuchuser: no matching entries in passwd file",
    "unable to find group nosuchgroup: no matching entries in group file",
    f'runc: {RUNC} exec: "/nope": stat /nope: no such file or directory: {NOT_FOUND}',
    f'runc: {RUNC} exec: "nope": executable file not found in $PATH: {NOT_FOUND}',
    f'runc: {RUNC} exec: "/www/index.html": permission denied: OCI permission denied',
    f'failed to create shim task: OCI runtime create failed: {RUNC} exec: "/www": permission denied: unknown',
    f'failed to create shim task: OCI runtime create failed: {RUNC} exec: "/www": is a directory: unknown',
    f"crun: executable file `nope` not found in $PATH: No such file or directory: {NOT_FOUND}",
    "crun: open executable: Permission denied: OCI permission denied",
    'workdir "/www/index.html" exists on container 62d8, but is not a directory',
    "Cannot mkdir: /www/index.html is not a directory",
    "container create: no command or entrypoint provided, and no CMD or ENTRYPOINT from image",
    "No command specified",
]
NODES = [
    f"runc: {RUNC} error during container init: open /sys/fs/cgroup/pids/x: no such file or directory",
    "netavark: could not create bridge: permission denied",
    "crun: write to `/sys/fs/cgroup/x/cpu.max`: Permission denied: OCI permission denied",
    "mkdir /var/lib/containers/storage/overlay/x: no space left on device",
    "range of CPUs is from 0.01 to 2.00, as there are only 2 CPUs available",
    "stat /run/user/0: no such file or directory",
    "",
]


@pytest.mark.parametrize("words", IMAGES)
def test_the_images_own(words: str) -> None:
    assert is_images_own(words)


@pytest.mark.parametrize("words", NODES)
def test_the_nodes(words: str) -> None:
    assert not is_images_own(words)


def test_they_are_quoted_in_one_line() -> None:
    assert one_line(" a\n  b\tc ") == "a b c"
    assert len(one_line("x" * 1000)) == QUOTED
