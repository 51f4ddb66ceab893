"""What an image is built from, and when it isn't built at all."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import httpx

from tests.e2e.runner.world import MakeWorld, World
from tests.parts.extent import only_in_full

BASE = "FROM node:20-bookworm-slim\n"
SECRET = "registry-secret-value"
ACCEPT = {"Accept": "application/vnd.docker.distribution.manifest.v2+json, application/vnd.oci.image.manifest.v1+json"}

HTTPS_REGISTRY = """
const https = require('https'), fs = require('fs');
const server = https.createServer({key: fs.readFileSync('/s/key.pem'), cert: fs.readFileSync('/s/cert.pem')}, (q, s) => {
  s.setHeader('content-type', 'application/json');
  s.end(JSON.stringify({name: 'x', 'dist-tags': {latest: '4.5.6'}, versions: {'4.5.6': {name: 'x', version: '4.5.6'}}}));
});
server.listen(4873, () => {
  const done = require('child_process').spawn('npm', ['view', 'x', 'version'], {stdio: 'inherit', env: {...process.env,
    npm_config_fetch_retries: '0', npm_config_registry: process.env.NPM_REGISTRY}});
  done.on('exit', code => process.exit(code));
});
"""


async def tags(world: World, repository: str) -> dict[str, str]:
    """Tag to digest, as the registry says."""
    base = f"http://{world.registry.address}/v2/{repository}"
    async with httpx.AsyncClient() as http:
        names = (await http.get(f"{base}/tags/list")).json()["tags"]
        return {n: (await http.head(f"{base}/manifests/{n}", headers=ACCEPT)).headers["Docker-Content-Digest"] for n in names}


async def config(world: World, repository: str, tag: str) -> dict[str, Any]:
    base = f"http://{world.registry.address}/v2/{repository}"
    async with httpx.AsyncClient() as http:
        manifest = (await http.get(f"{base}/manifests/{tag}", headers=ACCEPT)).json()
        return manifest | dict((await http.get(f"{base}/blobs/{manifest['config']['digest']}")).json())


def marked(image: dict[str, Any]) -> str:
    """The commit that an image says it was made from, in its annotations or its labels."""
    said: dict[str, str] = {**(image["config"].get("Labels") or {}), **image.get("annotations", {})}
    return said["org.opencontainers.image.revision"]


async def test_the_same_commit_is_not_built_twice_but_other_inputs_are(world: World) -> None:
    bare = world.repo("app", {"Dockerfile": BASE, "other/Dockerfile": BASE + "ENV other=1\n"})
    first = await world.ended(world.build(bare, appId=1))
    again = await world.ended(world.build(bare, appId=1, imageTag="v2"))
    other = await world.ended(world.build(bare, appId=1, dockerfilePath="other/Dockerfile"))
    assert [r["result"]["built"] for r in (first, again, other)] == [True, False, True]
    assert first["result"]["digest"] == again["result"]["digest"] != other["result"]["digest"]
    assert set(again["result"]["phasesMs"]) == {"clone", "deploy"}
    sha = first["result"]["gitSha"]
    now = await tags(world, "t/u1-app1")
    assert now["v2"] == first["result"]["digest"] and now["latest"] == now[sha] == other["result"]["digest"]
    assert marked(await config(world, "t/u1-app1", sha)) == sha


@only_in_full  # the Dockerfile's grammar is in tests/pure/dockerfile
async def test_a_shell_of_ones_own_and_a_health_check_survive_the_build(world: World) -> None:
    """Only Docker's own format has them: such an image is built in it."""
    odd = BASE + 'SHELL ["/bin/bash", "-c"]\nRUN [[ $0 == *bash ]]\nHEALTHCHECK CMD ["true"]\n'
    done = await world.ended(world.build(world.repo("odd", {"Dockerfile": odd}), appId=2))
    image = await config(world, "t/u1-app2", done["result"]["gitSha"])
    assert image["config"]["Healthcheck"]["Test"] == ["CMD", "true"] and image["config"]["Shell"] == ["/bin/bash", "-c"]
    assert marked(image) == done["result"]["gitSha"]


@only_in_full  # tests/pure/runner and tests/e2e/git have the names
async def test_branch_tag_full_and_abbreviated_commit(world: World) -> None:
    bare = world.repo("app", {"Dockerfile": BASE, "a": "1"})
    one = world.git("rev-parse", "main", cwd=bare)
    two = world.push(bare, {"a": "2"}, branch="feature/x")
    work = world.root / "app-work"
    world.git("tag", "-a", "v1", "-m", "v1", one, cwd=work)
    world.git("push", "-q", "origin", "v1", cwd=work)
    refs = {"main": one, "feature/x": two, "v1": one, one: one, two[:10]: two, "refs/heads/main": one}
    jobs = {ref: world.build(bare, gitRef=ref, appId=7) for ref in refs}
    for ref, job in jobs.items():
        report = await world.ended(job)
        assert report["result"]["gitSha"] == refs[ref], ref
    world.git("push", "-q", "origin", ":feature/x", cwd=work)
    gone = await world.ended(world.build(bare, gitRef="feature/x", appId=7))
    assert gone["failure"]["code"] == "GIT_REF_NOT_FOUND"


async def test_a_node_project_without_a_dockerfile_gets_the_standard_one(world: World) -> None:
    package = {
        "name": "x",
        "version": "1.0.0",
        "scripts": {"start": "node server.js", "build": "node -e \"require('fs').writeFileSync('built','1')\""},
    }
    lock = {"name": "x", "version": "1.0.0", "lockfileVersion": 3, "packages": {"": {"name": "x", "version": "1.0.0"}}}
    files = {
        "package.json": json.dumps(package),
        "package-lock.json": json.dumps(lock),
        "server.js": "console.log(1)",
        ".env": "A=1",
    }
    good = world.build(world.repo("good", files))
    broken = {**package, "scripts": {"start": "x", "build": "echo broken-on-purpose; exit 3"}}
    bad = world.build(world.repo("bad", {**files, "package.json": json.dumps(broken)}))
    report = await world.ended(good)
    assert report["status"] == "SUCCEEDED", report
    cfg = (await config(world, f"t/u1-app{good}", "latest"))["config"]
    assert cfg["User"] == "1000:1000" and cfg["Cmd"] == ["sh", "-c", "exec node server.js"] and "PORT=3000" in cfg["Env"]
    assert "npm ci" in world.deploy.log(good)
    world.podman.cli("pull", "-q", report["result"]["image"])
    listed = world.podman.cli("run", "--rm", "--network", "none", report["result"]["image"], "ls", "-a", "/app").split()
    assert "built" in listed and "server.js" in listed and ".env" not in listed
    report = await world.ended(bad)
    assert report["failure"]["code"] == "BUILD_FAILED" and "broken-on-purpose" in report["errorMessage"]


@only_in_full  # three builds; the settings' way is in tests/pure/runner
async def test_the_npm_registry_and_the_operators_authorities_reach_the_build_and_not_the_image(
    make_world: MakeWorld, tmp_path: Path
) -> None:
    make_certificate(tmp_path)
    world: World = await make_world(npm_registry="https://localhost:4873/", ca_file=tmp_path / "ca.pem")
    dockerfile = BASE + (
        "ARG NPM_REGISTRY\nCOPY . /s/\nWORKDIR /s\n"
        "RUN node registry.js\nRUN env -u NODE_EXTRA_CA_CERTS npm_config_cache=/tmp/c node registry.js && exit 1 || true\n"
    )
    files = {"Dockerfile": dockerfile, "registry.js": HTTPS_REGISTRY}
    files |= {name: (tmp_path / name).read_text() for name in ("key.pem", "cert.pem")}
    job = world.build(world.repo("app", files))
    report = await world.ended(job, seconds=110)
    assert report["status"] == "SUCCEEDED", world.deploy.log(job)
    assert world.deploy.log(job).count("\n4.5.6\n") == 1, world.deploy.log(job)
    world.podman.cli("pull", "-q", report["result"]["image"])
    found = world.podman.cli(
        "run", "--rm", "--network", "none", report["result"]["image"], "find", "/", "-xdev", "-name", "funai-ca*"
    )
    assert found == ""
    assert "NODE_EXTRA" not in json.dumps((await config(world, f"t/u1-app{job}", "latest"))["config"])


async def test_secrets_stay_out_of_argv_log_and_image(make_world: MakeWorld, private_registry: Any) -> None:
    user, password = private_registry.login
    world: World = await make_world(registry=private_registry.address, registry_username=user, registry_password=password)
    world.podman.allow_insecure([world.registry.address, private_registry.address])
    env = {"API_KEY": "a-tenants-own-secret"}
    dockerfile = BASE + f"RUN echo it is {password} and a-tenants-own-secret; env; cat /proc/self/mountinfo; ls /run /var/run\n"
    job = world.build(world.repo("app", {"Dockerfile": dockerfile}), acrRegistry=private_registry.address, env=env)
    report = await world.ended(job)
    assert report["status"] == "SUCCEEDED", report
    text = world.deploy.log(job)
    assert "it is **********" in text
    # The Dockerfile's own text would be masked too, so what is left of the words can only be the mask.
    for secret in (password, "a-tenants-own-secret", "agent-token-1", f"lease-token-{job}"):
        assert secret not in text and secret not in json.dumps(report["result"])
    assert "docker.sock" not in text and "podman.sock" not in text
    given = world.agent.deploys[-1]["env"]
    assert {name: given[name] for name in given if not name.startswith(("FUNAI_", "BASE_PATH"))} == env
    mode = (world.settings.workdir / "auth" / "config.json").stat().st_mode & 0o777
    assert mode == 0o600


async def test_a_prebuilt_image_goes_to_the_agent_by_digest(world: World) -> None:
    built = await world.ended(world.build(world.repo("app", {"Dockerfile": BASE}), appId=1))
    name = f"{world.registry.address}/t/u1-app1"
    job = world.job(image=f"{name}:latest", containerPort=8080, healthPath="/ok")
    report = await world.ended(job)
    result = report["result"]
    assert result["digest"] == built["result"]["digest"] and result["image"] == f"{name}@{result['digest']}"
    assert result["built"] is False and result["containerPort"] == 8080 and result["healthPath"] == "/ok"
    assert set(result["phasesMs"]) == {"deploy"}
    unknown = await world.ended(world.job(image="some.where.else/x:1"))
    assert unknown["result"]["image"] == "some.where.else/x:1" and "digest" not in unknown["result"]


def make_certificate(folder: Path) -> None:
    """``ca.pem``, and ``cert.pem``/``key.pem`` for localhost that it signed."""

    def openssl(*words: str) -> None:
        subprocess.run(["openssl", *words], cwd=folder, check=True, capture_output=True)

    new = ("-newkey", "rsa:2048", "-nodes")
    openssl("req", "-x509", *new, "-keyout", "ca.key", "-out", "ca.pem", "-days", "2", "-subj", "/CN=test ca")
    openssl("req", *new, "-keyout", "key.pem", "-out", "r.csr", "-subj", "/CN=localhost")
    (folder / "ext").write_text("subjectAltName=DNS:localhost\n")
    signed = ("-CA", "ca.pem", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "ext")
    openssl("x509", "-req", "-in", "r.csr", *signed, "-days", "2", "-out", "cert.pem")
