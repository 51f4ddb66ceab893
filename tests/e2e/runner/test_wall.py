"""The wall around a build, with the checks of its text switched off: what no spelling of a Dockerfile reaches."""

from __future__ import annotations

import asyncio
import os
import socket
import tempfile
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

import pytest

from funai.runner.build import phase
from funai.runner.sandbox.host import find_program, why_not
from funai.runner.settings import MIB
from tests.e2e.runner.test_failures import failed
from tests.e2e.runner.world import MakeWorld, World, processes
from tests.fuzz.driver import UNREAD, Unread
from tests.parts.extent import only_in_full
from tests.parts.waiting import eventually

NODE = "FROM node:20-bookworm-slim\n"
SECRET = "alices-private-token-4711"
THEFTS = {
    "alias": "FROM {name} AS {name}\nRUN cat /secret\n",
    "tag": "FROM {name}:latest AS {name}:latest\nRUN cat /secret\n",
    "full": "FROM {full}\nRUN cat /secret\n",
    "quoted": NODE
    + 'FROM node:20-bookworm-slim AS "{name}"\nRUN true\n'
    + NODE
    + "COPY --from={name} /secret /s\nRUN cat /s\n",
    "case": NODE.strip() + " AS {upper}\nRUN true\n" + NODE + "COPY --from={name} /secret /s\nRUN cat /s\n",
    "later": NODE.strip() + " AS x\nCOPY --from={name} /secret /s\nRUN cat /s\nFROM x AS {name}\nRUN true\n",
    "mount": NODE + "RUN --mount=type=bind,from={name},target=/m cat /m/secret\n",
    "store": "FROM containers-storage:{full}\nRUN cat /secret\n",
}
RAW = """perl -e 'use Socket; socket(my $p, 17, 3, 768) ? print "PACKET OPEN\\n" : print "packet: $!\\n";
socket(my $r, 2, 3, 1) ? print "RAW OPEN\\n" : print "raw: $!\\n";'"""

CONFINED = """#!/bin/sh
for word; do
  [ "$word" = --cap-add ] && word=--cap-drop
  set -- "$@" "$word"; shift
done
exec bwrap "$@"
"""


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """What ends with the mark reaches the engine as it stands."""
    monkeypatch.setattr(phase, "Reading", Unread)


@pytest.mark.usefixtures("unchecked")
@only_in_full  # test_bases.py tries the same names
async def test_a_build_finds_no_other_apps_image_whatever_it_calls_it(world: World) -> None:
    dockerfile = NODE + f"RUN echo {SECRET} > /secret\n"
    assert (await world.ended(world.build(world.repo("alice", {"Dockerfile": dockerfile}), appId=71)))["status"] == "SUCCEEDED"
    names = {"name": "u1-app71", "upper": "U1-APP71", "full": f"{world.registry.address}/t/u1-app71"}
    thieves = {
        kind: world.build(world.repo(f"bob-{kind}", {"Dockerfile": text.format(**names) + UNREAD}), userId=2)
        for kind, text in THEFTS.items()
    }
    for kind, thief in thieves.items():
        report = await world.ended(thief)
        assert report["status"] == "FAILED" and SECRET not in world.deploy.log(thief), (kind, world.deploy.log(thief))


@pytest.mark.usefixtures("unchecked")
async def test_a_link_and_a_workdir_make_no_folder_on_the_host(world: World, tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir(mode=0o777)
    os.chmod(target, 0o777)
    lines = f"RUN ln -s {target} /out\nUSER 1000\nWORKDIR /out/made\nVOLUME /out/volume\nCOPY a /out/copied\nRUN pwd\n"
    job = world.build(world.repo("app", {"Dockerfile": NODE + lines + UNREAD, "a": "a"}))
    await world.ended(job)
    assert list(target.iterdir()) == [], world.deploy.log(job)


async def test_a_step_sees_its_limits_and_nothing_of_the_host(make_world: MakeWorld, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "https_proxy"):
        monkeypatch.setenv(name, "http://u:s3cretpw@127.0.0.1:3128")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    world: World = await make_world(build_memory_bytes=512 * MIB)
    look = (
        "RUN env | grep -i proxy || echo no-proxy\n"
        "RUN cat /sys/fs/cgroup/memory/memory.limit_in_bytes /sys/fs/cgroup/memory.max 2>/dev/null; echo host=$(hostname)\n"
        "RUN cat /proc/self/uid_map; ls /sys/class/net; cat /proc/mounts\n"
        f"RUN {RAW.replace(chr(10), ' ')}\n"
        "RUN mkdir /sys/fs/cgroup/freezer/x || mkdir /sys/fs/cgroup/x || echo no-group\n"
        'RUN node -e \'console.log("heap", require("v8").getHeapStatistics().heap_size_limit / 2**20 < 512)\'\n'
    )
    job = world.build(world.repo("app", {"Dockerfile": NODE + look}))
    assert (await world.ended(job))["status"] == "SUCCEEDED", world.deploy.log(job)
    log = world.deploy.log(job)
    assert "no-proxy" in log and "s3cretpw" not in log
    assert str(512 * MIB) in log and "heap true" in log and "no-group" in log
    said = [line.partition(" ")[0] for line in log.splitlines()]
    assert "packet:" in said and "raw:" in said and "PACKET" not in said and "RAW" not in said
    mounts = [line.split()[1] for line in log.splitlines() if line.count(" ") == 5 and " ext4 " in line]
    assert all("/jobs/" not in m and "/stores/" not in m for m in mounts), mounts


async def test_a_step_reaches_no_private_place(world: World) -> None:
    with listening() as (address, port, asked):
        closed = ["169.254.169.254", "100.100.100.200", "168.63.129.16", "10.0.0.1", "192.168.1.1", "100.64.0.1"]
        places = [*(f"{host}:80" for host in closed), f"127.0.0.1:{port}", f"{address}:{port}", f"{world.registry.address}"]
        script = (
            "const net=require('net');for(const p of process.argv.slice(2)){const [h,n]=p.split(':');"
            "net.connect(n,h).on('error',e=>console.log(p,e.code)).on('connect',()=>console.log(p,'open'))"
            ".on('data',d=>console.log(p,'DATA',String(d)))}"
        )
        files = {"Dockerfile": NODE + f"COPY s.js /\nRUN node /s.js {' '.join(places)}\n", "s.js": script}
        job = world.build(world.repo("app", files))
        assert (await world.ended(job))["status"] == "SUCCEEDED", world.deploy.log(job)
        assert asked == [] and "DATA" not in world.deploy.log(job), world.deploy.log(job)
        for place in places[:6]:
            assert f"{place} ECONNREFUSED" in world.deploy.log(job)


@only_in_full  # what stays shut is in every run
async def test_what_the_operator_opens_is_reached_and_no_other_port(make_world: MakeWorld) -> None:
    with listening() as (_, port, asked), listening() as (_, other, never):
        address = next(iter(_own_addresses()))
        world: World = await make_world(allowed_places=[f"{address}:{port}"])
        connect = f'node -e \'require("net").connect(PORT,"{address}").on("data",d=>console.log("GOT",String(d)))'
        lines = "".join(f'RUN {connect.replace("PORT", str(p))}.on("error",e=>console.log(e.code))\'\n' for p in (port, other))
        job = world.build(world.repo("app", {"Dockerfile": NODE + lines}))
        assert (await world.ended(job))["status"] == "SUCCEEDED", world.deploy.log(job)
        assert "GOT hello" in world.deploy.log(job) and len(asked) == 1 and never == []


@only_in_full  # test_repositories.py shows it of a cache in every run
async def test_two_tenants_share_no_layer(world: World) -> None:
    key = "RUN head -c 12 /dev/urandom | od -An -tx1 > /app.key\nRUN cat /app.key\n"
    logs = list[str]()
    for user in (1, 2):
        job = world.build(world.repo(f"app{user}", {"Dockerfile": NODE + key}), userId=user)
        assert (await world.ended(job))["status"] == "SUCCEEDED", world.deploy.log(job)
        logs.append(world.deploy.log(job))
    assert all("Using cache" not in log for log in logs)


@only_in_full  # tests/pure/runner/sandbox/test_upkeep.py is in every run
async def test_eviction_takes_the_store_that_nobody_uses_and_none_in_use(make_world: MakeWorld) -> None:
    """With room for one image in all stores together, where each layer counts as one."""
    world: World = await make_world(cache_images=1, clean_seconds=0.2)
    stores = world.settings.workdir / "stores"
    idle = world.repo("idle", {"Dockerfile": NODE + "COPY a /a\nCOPY a /b\n", "a": "a"})
    assert (await world.ended(world.build(idle, appId=1)))["status"] == "SUCCEEDED"
    await eventually(lambda: not any(stores.iterdir()), seconds=30, what="the idle store is gone")
    slow = NODE + "COPY a /a\nRUN echo begun; sleep 2\n"
    used = world.build(world.repo("used", {"Dockerfile": slow, "a": "a"}), appId=2)
    await eventually(lambda: "begun" in world.deploy.log(used), seconds=60, what="the build runs")
    assert (await world.ended(used))["status"] == "SUCCEEDED", world.deploy.log(used)
    again = world.build(idle, appId=1, noCache=True)
    assert (await world.ended(again))["status"] == "SUCCEEDED", world.deploy.log(again)


@only_in_full  # what a build writes is counted in every run: test_hostile.py
async def test_a_volume_counts_like_any_folder(make_world: MakeWorld) -> None:
    world: World = await make_world(build_disk_bytes=128 * MIB)
    write = "for f in a b c; do head -c 60000000 /dev/zero > /v/$f; done"
    job = world.build(world.repo("app", {"Dockerfile": NODE + f"VOLUME /v\nRUN {write}; sleep 20; rm /v/*\n"}))
    failed(await world.ended(job), "OUT_OF_DISK", "user", "128 MiB")


async def test_a_frozen_build_is_gone_when_it_is_cancelled(world: World) -> None:
    job = world.build(world.repo("app", {"Dockerfile": NODE + "RUN echo begun; sleep 7531\n"}))
    await eventually(lambda: "begun" in world.deploy.log(job) and processes("7531"), seconds=60, what="the build runs")
    freezers = [
        *Path("/sys/fs/cgroup").glob(f"*/{world.settings.cgroup_parent}/*/freezer.state"),
        *Path("/sys/fs/cgroup").glob(f"{world.settings.cgroup_parent}/*/cgroup.freeze"),
    ]
    for file in freezers:
        file.write_text("FROZEN" if file.name == "freezer.state" else "1")
    assert freezers
    world.deploy.status[job] = "CANCELLED"
    await world.nothing_left("7531")


async def test_a_private_registry_is_not_asked(world: World) -> None:
    async with web() as (internal, asked):
        job = world.build(world.repo("plain", {"Dockerfile": f"FROM 127.0.0.1:{internal}/x\n"}))
        failed(await world.ended(job), "CONTRACT_INVALID", "user", "127.0.0.1")
        assert asked == []


@only_in_full  # tests/pure/base/clients/registry/test_login.py
async def test_a_realm_of_a_registry_leads_a_pull_nowhere(make_world: MakeWorld) -> None:
    """The engine's own pull; what else is asked of a registry is the registry client's."""
    async with web() as (internal, asked), web(realm=f"http://127.0.0.1:{internal}/secret") as (evil, challenged):
        opened: World = await make_world(private_registries=[f"127.0.0.1:{evil}"], insecure_registries=[f"127.0.0.1:{evil}"])
        job = opened.build(opened.repo("realm", {"Dockerfile": f"FROM 127.0.0.1:{evil}/x\n"}))
        assert (await opened.ended(job))["status"] == "FAILED"
        assert challenged and not any("/secret?scope=" in line for line in asked), asked


@only_in_full  # two builds for one mode
async def test_the_operators_umask_is_not_the_commits(make_world: MakeWorld) -> None:
    old = os.umask(0o077)
    try:
        world: World = await make_world()
        dockerfile = NODE + "WORKDIR /app\nCOPY . .\nRUN stat -c '%a %n' /app /app/a /app/sub\n"
        job = world.build(world.repo("app", {"Dockerfile": dockerfile, "a": "a", "sub/x": "x"}))
        assert (await world.ended(job))["status"] == "SUCCEEDED", world.deploy.log(job)
        for line in ("755 /app", "644 /app/a", "755 /app/sub"):
            assert line in world.deploy.log(job).splitlines(), world.deploy.log(job)
    finally:
        os.umask(old)


@only_in_full  # the step's other limits are in every run
async def test_open_files_are_limited_by_the_setting_and_the_failure_says_so(make_world: MakeWorld) -> None:
    world: World = await make_world(build_files=300)
    opens = 'node -e \'const fs=require("fs");for(let i=0;i<400;i++)fs.openSync("/etc/passwd")\''
    job = world.build(world.repo("app", {"Dockerfile": NODE + f"RUN ulimit -n\nRUN {opens}\n"}))
    failed(await world.ended(job), "BUILD_FAILED", "user", "RUNNER_BUILD_FILES")
    assert "\n300\n" in world.deploy.log(job)


def _own_addresses() -> list[str]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
        sock.connect(("192.0.2.1", 9))
        return [sock.getsockname()[0]]


@contextmanager
def listening() -> Iterator[tuple[str, int, list[str]]]:
    """A server of the host's on all its addresses that says hello; yields an own address, the port and who came."""
    asked = list[str]()
    with socket.create_server(("0.0.0.0", 0)) as server:
        port = int(server.getsockname()[1])

        def serve() -> None:
            while True:
                try:
                    sock, peer = server.accept()
                except OSError:
                    return
                with sock:
                    asked.append(str(peer))
                    sock.sendall(b"hello")

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield _own_addresses()[0], port, asked
        server.shutdown(socket.SHUT_RDWR)
    thread.join()


@asynccontextmanager
async def web(realm: str = "") -> AsyncIterator[tuple[int, list[str]]]:
    """An HTTP server of the host's that asks for a token at ``realm``; yields its port and the requests' first lines."""
    asked = list[str]()

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        line = await reader.readline()
        if line.startswith((b"GET", b"HEAD", b"POST")):
            asked.append(line.decode())
        head = f'HTTP/1.1 401 U\r\nWWW-Authenticate: Bearer realm="{realm}",service="x"\r\n' if realm else "HTTP/1.1 200 OK\r\n"
        writer.write(f"{head}Content-Length: 0\r\nConnection: close\r\n\r\n".encode())
        await writer.drain()
        writer.close()

    async with await asyncio.start_server(answer, "127.0.0.1", 0) as server:
        yield int(server.sockets[0].getsockname()[1]), asked


async def test_a_bwrap_that_a_profile_confines_is_named(tmp_path: Path) -> None:
    """As Ubuntu's ``bwrap-userns-restrict`` does it: what bwrap starts has no capabilities."""
    with tempfile.TemporaryDirectory(dir="/tmp") as folder:
        confined = Path(folder) / "bwrap"
        Path(folder).chmod(0o755)
        confined.write_text(CONFINED)
        confined.chmod(0o755)
        (tmp_path / "kernel").mkdir()
        (tmp_path / "kernel" / "apparmor_restrict_unprivileged_userns").write_text("1\n")

        def find(name: str) -> str | None:
            return str(confined) if name == "bwrap" else find_program(name)

        said = await why_not(find, tmp_path)
    assert said and "mount" in said.en and "AppArmor" in said.en and "AppArmor" in said.zh
    assert await why_not() is None
