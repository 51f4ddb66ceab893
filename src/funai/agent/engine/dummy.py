"""A steerable engine without containers: what tests of the agent's own logic run against. Same contract, same suite.

An image is a script: how long until it listens, how it answers, when it ends. Containers of the dummy answer on real
loopback ports, so that probing them is real. Faults are switched on by hand (:class:`Faults`).
"""

from __future__ import annotations

import asyncio
import itertools
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

from funai.agent.engine.contract import (
    Container,
    ContainerSpec,
    EngineInfo,
    EngineRefused,
    EngineUnreachable,
    FileHead,
    Image,
    ImageUnusable,
    Login,
    NameTaken,
    Neighbour,
    Network,
    NetworkSpec,
    NoSuchContainer,
    NoSuchImage,
    Phase,
    PullFailed,
    StoredImage,
)
from funai.contracts import rules

NOT_LISTENING = 1
"""A port of loopback without a listener."""


@dataclass(frozen=True, slots=True)
class Script:
    """What a container of an image does."""

    status: int = 200
    listens: bool = True
    exits_after: float | None = None
    """Seconds; None runs until stopped."""
    exit_code: int = 0
    oom: bool = False
    output: bytes = b"started\n"
    unusable: str = ""
    """The engine's words when a container of it is to be started."""
    files: Mapping[str, FileHead] = field(default_factory=dict[str, FileHead])
    """What lies in its containers, by path."""
    command: tuple[str, ...] = ()
    needs_pid_1: bool = False
    """Its containers end at once with the words of s6 when an init program is process 1."""
    refuses_address: str = ""
    """An address that the engine's books hold: a container that is to have it can't be started."""


@dataclass
class Faults:
    """``down``: nothing answers. ``refuse``: method → the engine's words, for as long as it is there."""

    down: bool = False
    refuse: dict[str, str] = field(default_factory=dict[str, str])


@dataclass
class _Box:
    spec: ContainerSpec
    script: Script
    now: Container
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    server: asyncio.Server | None = None
    end: asyncio.Task[None] | None = None
    output: bytes = b""


class _State:
    def __init__(
        self, registry: Mapping[str, Script] | None = None, local: Mapping[str, Script] | None = None, *, rootless: bool = True
    ) -> None:
        self.rootless = rootless
        self.registry = dict(registry or {})
        self.local = dict(local or {})
        self.faults = Faults()
        self.broken: set[str] = set()
        """Containers that can't be started any more."""
        self.calls: list[str] = []
        self._boxes: dict[str, _Box] = {}
        self._networks: dict[str, Network] = {}
        self._ids = itertools.count(1)

    async def _enter(self, name: str) -> None:
        self.calls.append(name)
        await asyncio.sleep(0)
        if self.faults.down:
            raise EngineUnreachable("the dummy is down")
        if words := self.faults.refuse.get(name):
            raise EngineRefused(words)


class _Images(_State):
    async def image(self, ref: str) -> Image:
        await self._enter("image")
        ref = ref.removeprefix("id-of-")
        if ref not in self.local:
            raise NoSuchImage(ref)
        digest = None if ref.startswith("sha256:") else rules.parse_image(ref).digest
        return Image(f"id-of-{ref}", (digest,) if digest else (), "linux/amd64", self.local[ref].command, ("/bin",))

    async def pull(self, ref: str, login: Login | None) -> Image:  # noqa: ARG002
        await self._enter("pull")
        if ref not in self.registry:
            raise PullFailed(f"{ref} is not in the registry")
        self.local[ref] = self.registry[ref]
        return await self.image(ref)

    async def remove_image(self, ref: str) -> bool:
        await self._enter("remove_image")
        ref = ref.removeprefix("id-of-")
        if any(b.spec.image == ref for b in self._boxes.values()):
            return False
        return self.local.pop(ref, None) is not None

    async def images(self) -> list[StoredImage]:
        await self._enter("images")
        digests = [(ref, rules.parse_image(ref).digest) for ref in self.local]
        return [StoredImage(f"id-of-{r}", () if d else (r,), (r,) if d else (), n) for n, (r, d) in enumerate(digests)]

    async def images_in_use(self) -> frozenset[str]:
        await self._enter("images_in_use")
        return frozenset(f"id-of-{b.spec.image}" for b in self._boxes.values())


class _Networks(_State):
    async def ensure_network(self, spec: NetworkSpec) -> Network:
        await self._enter("ensure_network")
        return self._networks.setdefault(spec.name, Network(spec.name, spec.subnet))

    async def remove_network(self, name: str) -> None:
        await self._enter("remove_network")
        if any(b.spec.network == name for b in self._boxes.values()):
            raise EngineRefused(f"network {name} is in use")
        self._networks.pop(name, None)

    async def networks(self) -> list[Network]:
        await self._enter("networks")
        return list(self._networks.values())

    async def neighbours(self, network: str) -> list[Neighbour]:
        await self._enter("neighbours")
        inside = [box for box in self._boxes.values() if box.spec.network == network and box.now.running and box.now.address]
        return [Neighbour(box.spec.name, box.spec.labels, box.now.address) for box in inside]


class DummyEngine(_Images, _Networks):
    """``registry`` is what can be pulled, ``local`` what is here: image reference → script."""

    def _box(self, id: str) -> _Box:
        found = self._boxes.get(id) or next((b for b in self._boxes.values() if b.now.name == id), None)
        if found is None:
            raise NoSuchContainer(id)
        return found

    async def info(self) -> EngineInfo:
        await self._enter("info")
        return EngineInfo("dummy", "1", rootless=self.rootless, data_root="/", platform="linux/amd64")

    async def create(self, spec: ContainerSpec) -> str:
        await self._enter("create")
        spec = replace(spec, image=spec.image.removeprefix("id-of-"))
        if spec.image not in self.local:
            raise NoSuchImage(spec.image)
        if not spec.beside and spec.network not in self._networks:
            raise EngineRefused(f"no network {spec.network}")
        for box in self._boxes.values():
            if box.now.name == spec.name:
                if dict(box.spec.labels) == dict(spec.labels):
                    return box.now.id
                raise NameTaken(spec.name)
        id = f"{next(self._ids):064x}"
        now = Container(id, spec.name, dict(spec.labels), spec.image, Phase.CREATED)
        self._boxes[id] = _Box(spec, self.local[spec.image], now)
        return id

    def environment(self, name: str) -> Mapping[str, str]:
        """What the container of this name was made with."""
        return next(box.spec.env for box in self._boxes.values() if box.now.name == name)

    async def start(self, id: str) -> None:
        await self._enter("start")
        box = self._box(id)
        if box.now.running:
            return
        if box.now.id in self.broken:
            raise EngineRefused("its network is gone")
        if box.script.unusable:
            raise ImageUnusable(box.script.unusable)
        script = box.script
        if script.needs_pid_1 and box.spec.init:
            script = replace(script, listens=False, exits_after=0, exit_code=100, output=b"s6: fatal: can only run as pid 1\n")
        if script.refuses_address and script.refuses_address == box.spec.address:
            raise EngineRefused(f"IPAM error: requested ip address {box.spec.address} is already allocated")
        port = 0
        if script.listens:
            box.server = await asyncio.start_server(_answering(script.status), "127.0.0.1", 0)
            port = int(box.server.sockets[0].getsockname()[1])
        box.ended.clear()
        box.output += script.output
        box.now = replace(
            box.now,
            phase=Phase.RUNNING,
            exit_code=None,
            started_at="2026-01-01T00:00:00Z",
            address="127.0.0.1",
            published=port or NOT_LISTENING,
            oom_killed=False,
        )
        if script.exits_after is not None:
            box.end = asyncio.create_task(self._end_later(box, script, script.exits_after))

    async def _end_later(self, box: _Box, script: Script, seconds: float) -> None:
        await asyncio.sleep(seconds)
        box.end = None
        await self._ended(box, script.exit_code, oom=script.oom)

    async def _ended(self, box: _Box, code: int, *, oom: bool = False) -> None:
        if box.end:
            box.end.cancel()
            box.end = None
        if box.server:
            box.server.close()
            box.server = None
        box.now = replace(
            box.now,
            phase=Phase.EXITED,
            exit_code=code,
            oom_killed=oom,
            address="",
            published=0,
            pid=0,
            finished_at="2026-01-01T00:01:00Z",
        )
        box.ended.set()

    async def stop(self, id: str, grace: float) -> None:  # noqa: ARG002
        await self._enter("stop")
        box = self._box(id)
        if box.now.running:
            await self._ended(box, 143)

    def env_of(self, name: str) -> dict[str, str]:
        return dict(next(b.spec.env for b in self._boxes.values() if b.now.name == name))

    async def crash(self, id: str, code: int = 1) -> None:
        """By hand: the container ends by itself."""
        await self._ended(self._box(id), code)

    async def remove(self, id: str) -> None:
        await self._enter("remove")
        try:
            box = self._box(id)
        except NoSuchContainer:
            return
        await self._ended(box, 137)
        self._boxes.pop(box.now.id, None)

    async def rename(self, id: str, name: str) -> None:
        await self._enter("rename")
        box = self._box(id)
        if any(b.now.name == name and b is not box for b in self._boxes.values()):
            raise NameTaken(name)
        box.now = replace(box.now, name=name)

    async def inspect(self, id: str) -> Container:
        await self._enter("inspect")
        return self._box(id).now

    async def containers(self, labels: Mapping[str, str]) -> list[Container]:
        await self._enter("containers")
        return [b.now for b in self._boxes.values() if labels.items() <= dict(b.now.labels).items()]

    async def unlabelled(self, pattern: str, label: str) -> list[Container]:
        await self._enter("unlabelled")
        boxes = [b.now for b in self._boxes.values()]
        return [now for now in boxes if label not in now.labels and re.search(pattern, now.name)]

    async def read_file(self, id: str, path: str) -> FileHead | None:
        await self._enter("read_file")
        return self._box(id).script.files.get(path)

    async def next_exit(self, id: str) -> int:
        await self._enter("next_exit")
        box = self._box(id)
        await box.ended.wait()
        return box.now.exit_code or 0

    async def logs(self, id: str, *, tail: int | None, follow: bool) -> AsyncIterator[bytes]:
        await self._enter("logs")
        box = self._box(id)
        lines = box.output.splitlines(keepends=True)
        yield b"".join(lines if tail is None else lines[len(lines) - tail :])
        if follow:
            await box.ended.wait()

    async def close(self) -> None:
        for box in list(self._boxes.values()):
            await self._ended(box, 137)


def _answering(status: int) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(f"HTTP/1.1 {status} x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
        except (asyncio.IncompleteReadError, ConnectionError):
            pass
        finally:
            writer.close()

    return answer
