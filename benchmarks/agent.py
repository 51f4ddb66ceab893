"""What a rollout costs and whether anybody notices it: ``python -m benchmarks.agent`` prints one JSON line last.

* ``agent_deploy_ms``: median of one redeploy, from the call of the agent to its answer, which it gives after the
  gateway's public path has answered from the new container;
* ``engine_floor_ms``: median of ``podman run`` of the same image until its first 200, nothing else, in turns with it;
* ``requests, failed_requests``: wrk at about 500 requests/s through the gateway while the app is redeployed 20 times and
  another 20 rollouts of it fail; ``stale_answers`` are answers of a replaced generation after its switch.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import secrets
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from funai.agent.engine.docker_api import DockerEngine
from funai.agent.network.firewall import Firewall, Rules
from funai.agent.network.networks import bridge_prefix, network_name, platform_tag
from funai.agent.workload.containers.labels import INSTANCE
from funai.base.process.proc import base_environment
from funai.standalone.parts import base_image
from funai.standalone.parts import engine as engines
from funai.standalone.parts.engine import EngineChoice
from tests.e2e.agent.agent import Agent, Process, visiting
from tests.parts.waiting import eventually, unix_answers
from tests.parts.workspace import drop_workspace, new_workspace

SERVER = """
const http = require('http');
const server = http.createServer((q, s) => s.end(process.env.GENERATION || 'none'));
server.keepAliveTimeout = 60000;
server.listen(3000);
process.on('SIGTERM', () => server.close(() => process.exit(0)));
"""
APP = 7
CONNECTIONS, DELAY_MS = 11, 20
"""Eleven connections that rest 20 ms between requests: about 500 requests/s."""
WRK = """
function delay() return DELAY end
function response(status) if status ~= 200 then bad = (bad or 0) + 1 end end
""".replace("DELAY", str(DELAY_MS))


def say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


@dataclass
class Bench:
    choice: EngineChoice
    agent: Agent
    good: str
    bad: str
    generation: int = 0
    phases: list[dict[str, int]] = field(default_factory=list[dict[str, int]])

    def podman(self, *words: str) -> str:
        env = {**base_environment(), **self.choice.environment}
        return subprocess.run([self.choice.binary, *words], env=env, check=True, capture_output=True, text=True).stdout.strip()

    async def deploy(self, image: str) -> httpx.Response:
        self.generation += 1
        return await self.agent.post(
            "deploy",
            APP,
            image=image,
            generation=self.generation,
            env={"GENERATION": str(self.generation)},
            health={"timeoutSeconds": 30},
        )

    async def redeploy_ms(self) -> float:
        began = time.perf_counter()
        answer = await self.deploy(self.good)
        took = (time.perf_counter() - began) * 1000
        assert answer.status_code == 200, answer.text
        self.phases.append(answer.json()["timingsMs"])
        return took

    def floor_ms(self, address: str, network: str) -> float:
        """The engine's own program, the same image, until the first 200."""
        name = f"bench-floor-{secrets.token_hex(4)}"
        began = time.perf_counter()
        self.podman("run", "--detach", "--name", name, "--network", network, "--ip", address, self.good)
        with httpx.Client(trust_env=False, timeout=5) as http:
            while True:
                try:
                    if http.get(f"http://{address}:3000/").status_code == 200:
                        break
                except httpx.TransportError:
                    time.sleep(0.002)
        took = (time.perf_counter() - began) * 1000
        self.podman("rm", "--force", "--time", "0", name)
        return took

    async def settled(self) -> bool:
        """The replaced container is gone: it must not disturb the next measurement."""
        names = self.podman(
            "ps", "--all", "--format", "{{.Names}}", "--filter", f"label={INSTANCE}={self.agent.process.instance}"
        )
        return names.split() == [f"rt-u-1-{APP}.{self.agent.process.instance}"]


async def costs(bench: Bench, rounds: int) -> tuple[list[float], list[float]]:
    """(agent, floor): times of redeploys and of bare runs, taken in turns."""
    network = f"bench-net-{bench.agent.process.instance}"
    bench.podman("network", "create", network)
    subnet = json.loads(bench.podman("network", "inspect", network))[0]["subnets"][0]["subnet"]
    address = subnet.rpartition(".")[0] + ".100"
    mine: list[float] = []
    floors: list[float] = []
    try:
        await bench.redeploy_ms()
        for _ in range(rounds):
            await eventually(bench.settled, seconds=60, every=0.1)
            mine.append(await bench.redeploy_ms())
            await eventually(bench.settled, seconds=60, every=0.1)
            floors.append(await asyncio.to_thread(bench.floor_ms, address, network))
    finally:
        bench.podman("network", "rm", "--force", network)
    return mine, floors


async def under_load(bench: Bench, times: int, folder: Path) -> dict[str, object]:
    """wrk runs from before the first to after the last of ``times`` good and ``times`` bad rollouts."""
    script = folder / "pace.lua"
    script.write_text(WRK)
    url = f"http://127.0.0.1:{bench.agent.process.gateway_port}/runtime/{APP}/"
    wrk = await asyncio.create_subprocess_exec(
        "wrk",
        "--threads",
        "1",
        "--connections",
        str(CONNECTIONS),
        "--duration",
        "3600",
        "--timeout",
        "10",
        "--script",
        str(script),
        url,
        stdout=asyncio.subprocess.PIPE,
    )
    began, stale, refused = time.perf_counter(), 0, 0
    async with httpx.AsyncClient(trust_env=False) as http:
        for _ in range(times):
            await bench.redeploy_ms()
            for _ in range(20):
                stale += (await http.get(url)).text != str(bench.generation)
            answer = await bench.deploy(bench.bad)
            refused += answer.status_code == 422
            if answer.status_code != 422:
                say(f"a rollout that must fail answered {answer.status_code}: {answer.text}")
            bench.generation -= 1  # the failed one never was
    seconds = time.perf_counter() - began
    wrk.send_signal(signal.SIGINT)
    out = (await wrk.communicate())[0].decode()
    tell_failures(out, folder)
    return {
        **counted(out),
        "load_seconds": round(seconds, 1),
        "redeploys": times,
        "failed_rollouts": refused,
        "stale_answers": stale,
    }


def tell_failures(out: str, folder: Path) -> None:
    """To stderr: what wrk and the gateway's access log say about answers that were not 200."""
    for line in out.splitlines():
        if "errors" in line or "Non-2xx" in line:
            say(line.strip())
    for line in (folder / "agent.log").read_text().splitlines():
        if "rollout.done" not in line:
            say(line)
    for log in (folder / "gw").rglob("access.log"):
        entries = [json.loads(line) for line in log.read_text().splitlines()]
        say(f"how requests ended: {Counter((e['status'], e['end']) for e in entries)}")
        for line in log.read_text().splitlines():
            if '"status":200' not in line.replace(" ", ""):
                say(line)


def counted(out: str) -> dict[str, int]:
    """wrk's summary: all requests, and those that failed in any way."""
    total = re.search(r"(\d+) requests in", out)
    assert total, out
    errors = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", out)
    wrong = re.search(r"Non-2xx or 3xx responses: (\d+)", out)
    failed = sum(map(int, errors.groups())) if errors else 0
    return {"requests": int(total[1]), "failed_requests": failed + (int(wrong[1]) if wrong else 0)}


@asynccontextmanager
async def prepared() -> AsyncIterator[tuple[Bench, Path]]:
    """The machine's Podman, two images, an agent with a gateway of its own; all gone afterwards."""
    choice = await engines.choose(say=say)
    await base_image.ensure(choice)
    folder, instance = new_workspace("bench-agent"), "b" + secrets.token_hex(4)
    socket, images = folder / "engine.sock", [f"localhost/funai-bench-{k}:{instance}" for k in ("good", "bad")]
    command = choice.service(socket)
    assert command is not None, "the benchmark's floor is Podman's"
    env = {**base_environment(), **choice.environment}
    service = subprocess.Popen(command.argv, env=env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: ASYNC220
    try:
        await eventually(lambda: unix_answers(socket), seconds=20, what="Podman's API answers")
        _build(choice, images[0], {"server.js": SERVER}, '["node", "/server.js"]')
        _build(choice, images[1], {"server.js": "process.exit(3)"}, '["node", "/server.js"]')
        agent = Process(socket, folder, instance, choice.environment, {"app_memory": 256 << 20, "app_cpus": 0})
        await asyncio.to_thread(agent.start)
        try:
            async with visiting(agent, APP) as view:
                yield Bench(choice, view, *images), folder
        finally:
            await asyncio.to_thread(agent.stop)
            await _clean(socket, instance)
    finally:
        for image in images:
            subprocess.run([choice.binary, "rmi", "--force", image], env=env, capture_output=True, check=False)  # noqa: ASYNC221
        service.terminate()
        service.wait()
        drop_workspace(folder)


def _build(choice: EngineChoice, image: str, files: dict[str, str], cmd: str) -> None:
    env = {**base_environment(), **choice.environment}
    with tempfile.TemporaryDirectory() as context:
        for name, text in files.items():
            (Path(context) / name).write_text(text)
        (Path(context) / "Dockerfile").write_text(f"FROM {base_image.IMAGE}\nCOPY . /\nCMD {cmd}\n")
        subprocess.run(
            [choice.binary, "build", "--quiet", "--pull=never", "--tag", image, context],
            env=env,
            check=True,
            stdout=subprocess.DEVNULL,
        )


async def _clean(socket: Path, instance: str) -> None:
    engine = DockerEngine(str(socket))
    for box in await engine.containers({INSTANCE: instance}):
        await engine.remove(box.id)
    tag = platform_tag(instance, (await engine.info()).data_root)
    await engine.remove_network(network_name(APP, instance))
    await engine.close()
    await Firewall(Rules(tag, bridge_prefix(tag), "10.208.0.0/13")).remove()


async def measure(rounds: int, times: int) -> dict[str, object]:
    async with prepared() as (bench, folder):
        say(f"{rounds} redeploys beside as many bare runs …")
        mine, floors = await costs(bench, rounds)
        phases = {step: statistics.median(p[step] for p in bench.phases[1:]) for step in bench.phases[0]}
        say(f"{times} redeploys and {times} failing rollouts under load …")
        load = await under_load(bench, times, folder)
    deploy, floor = statistics.median(mine), statistics.median(floors)
    return {
        "agent_deploy_ms": round(deploy, 1),
        "engine_floor_ms": round(floor, 1),
        "agent_over_floor": round(deploy / floor, 3),
        "agent_phases_ms": phases,
        **load,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--times", type=int, default=20)
    asked = parser.parse_args()
    print(json.dumps(asyncio.run(measure(asked.rounds, asked.times))))


if __name__ == "__main__":
    main()
