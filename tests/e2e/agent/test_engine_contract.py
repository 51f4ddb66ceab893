"""What ``engine.contract`` promises, on every driver: the dummy, real Podman, real Docker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from ipaddress import IPv4Network

import httpx
import pytest

from funai.agent.engine.contract import (
    ContainerSpec,
    Engine,
    EngineRefused,
    Limits,
    NameTaken,
    NetworkSpec,
    NoSuchContainer,
    NoSuchImage,
    Phase,
    PullFailed,
)
from funai.agent.network.networks import bridge_name, candidate_subnets, free_address
from tests.e2e.agent.images import image
from tests.parts.extent import only_in_full
from tests.parts.waiting import eventually, free_port

LABEL = "funai.instance"


@pytest.fixture
async def network(engine: Engine, instance: str) -> AsyncIterator[NetworkSpec]:
    taken = [IPv4Network(n.subnet) for n in await engine.networks() if n.subnet]
    subnet = next(candidate_subnets(IPv4Network("10.212.0.0/15"), instance, 1, taken))
    spec = NetworkSpec(f"net-{instance}", str(subnet), bridge_name(instance[1:5], 1), labels={LABEL: instance})
    await engine.ensure_network(spec)
    yield spec
    for container in await engine.containers({LABEL: instance}):
        await engine.remove(container.id)
    await engine.remove_network(spec.name)


def spec_for(network: NetworkSpec, instance: str, name: str = "a", temper: str = "web", **more: object) -> ContainerSpec:
    values: dict[str, object] = {
        "name": f"{instance}-{name}",
        "image": image(temper),
        "port": 3000,
        "network": network.name,
        "labels": {LABEL: instance, "name": name},
        "limits": Limits(cpus=0.5, memory=64 << 20, pids=64, log_bytes=1 << 20),
        "capabilities": ("NET_BIND_SERVICE",),
        **more,
    }
    return ContainerSpec(**values)  # type: ignore[arg-type]


async def started(engine: Engine, spec: ContainerSpec) -> str:
    id = await engine.create(spec)
    await engine.start(id)
    return id


async def test_info_names_the_engine(engine: Engine) -> None:
    info = await engine.info()
    assert info.kind in ("podman", "docker", "dummy")
    assert info.version
    assert info.data_root.startswith("/")


async def test_a_life_create_start_answer_stop_start_remove(engine: Engine, network: NetworkSpec, instance: str) -> None:
    id = await engine.create(spec_for(network, instance, publish=True))
    made = await engine.inspect(id)
    assert (made.phase, made.name, made.labels["name"]) == (Phase.CREATED, f"{instance}-a", "a")
    await engine.start(id)
    running = await engine.inspect(id)
    assert running.running
    assert running.address
    assert running.published
    async with httpx.AsyncClient(trust_env=False) as http:

        async def answers() -> bool:
            try:
                return (await http.get(f"http://127.0.0.1:{running.published}/")).status_code == 200
            except httpx.TransportError:
                return False

        await eventually(answers, what="the published port answers")
    await engine.stop(id, 1)
    stopped = await engine.inspect(id)
    assert stopped.phase is Phase.EXITED
    assert stopped.exit_code is not None
    assert not stopped.address
    await engine.start(id)
    assert (await engine.inspect(id)).running
    await engine.remove(id)
    with pytest.raises(NoSuchContainer):
        await engine.inspect(id)


async def test_an_image_is_found_and_started_by_its_id(engine: Engine, network: NetworkSpec, instance: str) -> None:
    known = await engine.image(image("web"))
    id = known.id if known.id.startswith(("sha256:", "id-of-")) else f"sha256:{known.id}"
    assert (await engine.image(id)).id == known.id
    made = await started(engine, spec_for(network, instance, image=id))
    assert (await engine.inspect(made)).running
    with pytest.raises(NoSuchImage):
        await engine.image(f"sha256:{'0' * 64}")


async def test_everything_that_may_be_repeated_may_be_repeated(engine: Engine, network: NetworkSpec, instance: str) -> None:
    spec = spec_for(network, instance)
    id = await engine.create(spec)
    assert await engine.create(spec) == id
    for _ in range(2):
        await engine.ensure_network(network)
        await engine.start(id)
    for _ in range(2):
        await engine.rename(id, f"{instance}-b")
    for _ in range(2):
        await engine.stop(id, 1)
    for _ in range(2):
        await engine.remove(id)
    await engine.remove_network("no-such-network")
    assert not await engine.remove_image("localhost/no-such-image:1")


async def test_a_taken_name_is_refused(engine: Engine, network: NetworkSpec, instance: str) -> None:
    await engine.create(spec_for(network, instance))
    with pytest.raises(NameTaken):
        await engine.create(spec_for(network, instance, labels={LABEL: instance, "name": "other"}))
    other = await engine.create(spec_for(network, instance, "b"))
    with pytest.raises(NameTaken):
        await engine.rename(other, f"{instance}-a")


async def test_a_running_container_is_renamed_and_goes_on(engine: Engine, network: NetworkSpec, instance: str) -> None:
    id = await started(engine, spec_for(network, instance))
    await engine.rename(id, f"{instance}-live")
    now = await engine.inspect(id)
    assert (now.name, now.running) == (f"{instance}-live", True)
    assert [c.name for c in await engine.containers({LABEL: instance})] == [f"{instance}-live"]


async def test_what_is_missing_is_told_apart(engine: Engine, network: NetworkSpec, instance: str) -> None:
    with pytest.raises(NoSuchImage):
        await engine.image("localhost/no-such-image:1")
    with pytest.raises(NoSuchImage):
        await engine.create(spec_for(network, instance, image="localhost/no-such-image:1"))
    for call in (engine.inspect("nope"), engine.start("nope"), engine.next_exit("nope"), engine.stop("nope", 1)):
        with pytest.raises(NoSuchContainer):
            await call
    with pytest.raises(PullFailed):
        await engine.pull(f"127.0.0.1:{free_port()}/no/such:1", None)


async def test_an_exit_is_seen_with_its_code_and_output(engine: Engine, network: NetworkSpec, instance: str) -> None:
    id = await engine.create(spec_for(network, instance, temper="exits"))
    waiting = asyncio.create_task(engine.next_exit(id))
    await engine.start(id)
    assert await asyncio.wait_for(waiting, 60) == 3
    assert await asyncio.wait_for(engine.next_exit(id), 60) == 3
    ended = await engine.inspect(id)
    assert (ended.phase, ended.exit_code) == (Phase.EXITED, 3)
    whole = b"".join([piece async for piece in engine.logs(id, tail=None, follow=False)])
    assert sorted(whole.splitlines()) == [b"about to fail", b"no such module"]
    last = b"".join([piece async for piece in engine.logs(id, tail=1, follow=False)])
    assert last.strip() in (b"about to fail", b"no such module")


async def test_following_a_log_ends_with_the_container(engine: Engine, network: NetworkSpec, instance: str) -> None:
    id = await started(engine, spec_for(network, instance, temper="idle"))

    async def read() -> bytes:
        return b"".join([piece async for piece in engine.logs(id, tail=None, follow=True)])

    reading = asyncio.create_task(read())
    await engine.stop(id, 1)
    await asyncio.wait_for(reading, 60)


async def test_labels_select(engine: Engine, network: NetworkSpec, instance: str) -> None:
    await engine.create(spec_for(network, instance, "a"))
    await engine.create(spec_for(network, instance, "b"))
    assert {c.labels["name"] for c in await engine.containers({LABEL: instance})} == {"a", "b"}
    assert [c.labels["name"] for c in await engine.containers({LABEL: instance, "name": "b"})] == ["b"]
    assert await engine.containers({LABEL: instance, "name": ""}) == []  # not "any value", as Podman reads it
    assert await engine.containers({LABEL: "nobody"}) == []


async def test_a_network_in_use_stays(engine: Engine, network: NetworkSpec, instance: str) -> None:
    await started(engine, spec_for(network, instance))
    with pytest.raises(EngineRefused):
        await engine.remove_network(network.name)
    assert network.name in {n.name for n in await engine.networks()}


async def test_an_address_outlives_a_restart(engine: Engine, network: NetworkSpec, instance: str) -> None:
    if (await engine.info()).kind == "dummy":
        return
    wanted = free_address(network.subnet, ())
    id = await started(engine, spec_for(network, instance, address=wanted))
    assert (await engine.inspect(id)).address == wanted
    await engine.stop(id, 1)
    assert await engine.neighbours(network.name) == []
    await engine.start(id)
    assert (await engine.inspect(id)).address == wanted
    [there] = await engine.neighbours(network.name)
    assert (there.name, there.labels["name"], there.address) == (f"{instance}-a", "a", wanted)
    assert (await engine.ensure_network(network)).interface == network.interface


async def test_memory_is_limited_and_told(engine: Engine, network: NetworkSpec, instance: str) -> None:
    if (await engine.info()).kind == "dummy":
        return
    id = await engine.create(spec_for(network, instance, temper="hungry"))
    waiting = asyncio.create_task(engine.next_exit(id))
    await engine.start(id)
    code = await asyncio.wait_for(waiting, 60)
    # Podman 4.3 on cgroup v1 does not always hear of it; the SIGKILL shows in any case.
    assert code == 137 or (await engine.inspect(id)).oom_killed


async def test_the_engine_restarts_a_few_times_and_counts(engine: Engine, network: NetworkSpec, instance: str) -> None:
    if (await engine.info()).kind == "dummy":
        return
    id = await started(engine, spec_for(network, instance, temper="exits", restarts=2))

    async def gave_up() -> bool:
        now = await engine.inspect(id)
        return now.phase is Phase.EXITED and now.restarts == 2

    await eventually(gave_up, seconds=60, what="two restarts, then left alone")


async def test_images_by_name_and_by_use(engine: Engine, network: NetworkSpec, instance: str) -> None:
    stored = {name: i for i in await engine.images() for name in i.names}
    web, idle = stored[image("web")], stored[image("idle")]
    id = await engine.create(spec_for(network, instance))
    used = await engine.images_in_use()
    assert web.id in used
    assert not web.id.startswith("sha256:")
    assert not await engine.remove_image(image("web"))
    await engine.remove(id)
    assert idle.id in {i.id for i in await engine.images()}


async def test_containers_without_a_label_by_their_names(engine: Engine, network: NetworkSpec, instance: str) -> None:
    other = await engine.create(spec_for(network, instance, "other", labels={"name": "other"}))
    await engine.create(spec_for(network, instance, "ours"))
    try:
        pattern = f"^/?{instance}-(other|ours)$"
        assert [c.id for c in await engine.unlabelled(pattern, LABEL)] == [other]
        assert await engine.unlabelled(f"^/?{instance}-othe$", LABEL) == []
    finally:
        await engine.remove(other)


@pytest.mark.parametrize("engine_at", [pytest.param("podman", marks=only_in_full), "docker"], indirect=True)
async def test_isolated_networks_stay_so_after_they_were_asked_about(
    engine: Engine, network: NetworkSpec, instance: str
) -> None:
    """Without any firewall of ours. Podman's Docker-like answers about a network cost it its isolation."""
    taken = [IPv4Network(n.subnet) for n in await engine.networks() if n.subnet]
    subnet = next(candidate_subnets(IPv4Network("10.212.0.0/15"), instance, 2, taken))
    second = NetworkSpec(f"net2-{instance}", str(subnet), bridge_name(instance[1:5], 2), labels={LABEL: instance})
    for _ in range(2):
        await engine.ensure_network(second)
    ids = [await started(engine, spec_for(net, instance, name)) for net, name in ((network, "a"), (second, "b"))]
    here, there = [(await engine.inspect(id)).address for id in ids]
    async with httpx.AsyncClient(trust_env=False, timeout=10) as http:

        async def tried(target: str) -> str:
            try:
                return (await http.get(f"http://{here}:3000/cgi-bin/try?{target}:3000")).text.strip()
            except httpx.TransportError:
                return ""

        async def up() -> bool:
            return await tried(here) == "open"

        async def closed() -> bool:
            return await tried(there) == "closed"

        await eventually(up, what="it answers")
        await eventually(closed, what="the other network is out of reach")
    await engine.remove(ids[1])
    await engine.remove_network(second.name)
