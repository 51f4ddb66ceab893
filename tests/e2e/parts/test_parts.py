"""The real parts themselves: each serves, and comes back after it was stopped. Every other test uses them."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import aiodocker
import httpx

from funai.standalone.parts import base_image
from tests.parts.docker import DockerEngine
from tests.parts.extent import only_in_full
from tests.parts.podman import Podman
from tests.parts.registry import Registry
from tests.parts.sshd import Sshd


def _node_says_hello(socket: Path) -> None:
    async def run() -> list[str]:
        command = ["node", "-e", "console.log('hello')"]
        config = {"Image": base_image.IMAGE, "Entrypoint": command, "HostConfig": {"Memory": 128 << 20}}
        async with aiodocker.Docker(url=f"unix://{socket}") as client:
            container = await client.containers.create(config)
            try:
                await container.start()
                await container.wait()
                return await container.log(stdout=True)
            finally:
                await container.delete(force=True)

    assert asyncio.run(run()) == ["hello\n"]


@only_in_full
def test_podman_runs_the_base_image_over_its_api(podman: Podman, engine_socket: Path) -> None:
    _node_says_hello(engine_socket)
    podman.service.restart()
    _node_says_hello(engine_socket)


@only_in_full
def test_docker_runs_the_base_image_over_its_api(docker_engine: DockerEngine) -> None:
    _node_says_hello(docker_engine.socket)
    docker_engine.restart()
    _node_says_hello(docker_engine.socket)


@only_in_full
def test_a_web_image_goes_through_the_registry(podman: Podman, registry: Registry) -> None:
    podman.allow_insecure([registry.address])
    image = f"{registry.address}/funaistudio/web:1"
    podman.build_web(image, "hi")
    podman.cli("push", "--quiet", image)
    podman.cli("rmi", image)
    name = podman.cli("run", "--detach", image)
    address = podman.cli("inspect", "--format", "{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}", name)
    with httpx.Client(transport=httpx.HTTPTransport(retries=5)) as client:
        assert client.get(f"http://{address}/").text == "hi\n"
    podman.cli("rm", "--force", "--time", "0", name)


def test_the_private_registry_wants_its_login(private_registry: Registry) -> None:
    assert private_registry.login is not None
    url = f"http://{private_registry.address}/v2/"
    assert httpx.get(url).status_code == 401
    assert httpx.get(url, auth=private_registry.login).status_code == 200


def test_git_clones_over_openssh(sshd: Sshd, tmp_path: Path) -> None:
    bare = tmp_path / "app.git"
    subprocess.run(["git", "init", "--quiet", "--bare", str(bare)], check=True)
    known_hosts = tmp_path / "known_hosts"
    known_hosts.write_text(sshd.known_hosts())
    ssh = f"ssh -i {sshd.client_key} -o IdentitiesOnly=yes -o UserKnownHostsFile={known_hosts} -o StrictHostKeyChecking=yes"
    argv = ["git", "ls-remote", sshd.url(bare)]
    assert subprocess.run(argv, env={"GIT_SSH_COMMAND": ssh}, check=False).returncode == 0
    sshd.change_host_key()
    assert subprocess.run(argv, env={"GIT_SSH_COMMAND": ssh}, check=False).returncode != 0


def test_haproxy_is_there(haproxy_binary: str) -> None:
    assert subprocess.run([haproxy_binary, "-v"], check=False, capture_output=True).returncode == 0
