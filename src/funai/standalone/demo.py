"""``funai demo``: the whole story on real parts, printed as it happens, with nothing left behind.

Everything a person would do is done the way a person's tools do it: accounts and deploys over the API, source over SSH
with git, the result fetched through the gateway's public address.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import httpx

from funai.base.clients.api import ApiClient
from funai.base.process.proc import Command, Finished, run
from funai.contracts.accounts import AddSshKey, App, CreateApp, CreateDeploy
from funai.contracts.jobs import Job
from funai.contracts.states import JobStatus
from funai.git.server import known_hosts_line
from funai.standalone.layout import ensure_key
from funai.standalone.parts import registry
from funai.standalone.parts.base_image import WEB_CONTEXT
from funai.standalone.phrases import language, phase_words, phrase
from funai.standalone.up import Platform

USER, PASSWORD = "demo", "demo-password-1"
STATIC_IMAGE = "library/hello-static:1"
GREETING = "Hello from FunAI"
CHANGED = "Hello again, one line later"
JOB_SECONDS = 240
PAGE_SECONDS = 10
Say = Callable[[str], None]


class DemoFailed(Exception):
    """A step did not do what it must; the text says which and what was seen."""


@dataclass
class Row:
    """One line of the closing table."""

    step: str
    seconds: float
    phases_ms: dict[str, int] = field(default_factory=dict[str, int])


@dataclass
class Story:
    """What the demo did, for the table. ``urls`` are (app name, address)."""

    rows: list[Row] = field(default_factory=list[Row])
    urls: list[tuple[str, str]] = field(default_factory=list[tuple[str, str]])

    @asynccontextmanager
    async def step(self, what: str, say: Say) -> AsyncIterator[Row]:
        say(what)
        row, began = Row(what, 0), time.monotonic()
        yield row
        row.seconds = time.monotonic() - began
        self.rows.append(row)


async def tell(platform: Platform, example: Path, say: Say) -> Story:
    """Play the whole story on a running platform. Raises DemoFailed, or the error of whatever failed."""
    story = Story()
    folder = Path(tempfile.mkdtemp(prefix="funai-demo-work-"))
    api = ApiClient(platform.options.api_url, {"Accept-Language": language()})
    try:
        async with story.step(phrase("demo_user"), say):
            person = await _register(platform, api, folder)
        async with story.step(phrase("demo_push"), say):
            app = await person.api.create_app(person.user_id, CreateApp(app_name="hello-node"))
            work = await _push_example(platform, example, folder, app)
        async with story.step(phrase("demo_deploy"), say) as row:
            url = await person.deploy(app, CreateDeploy(), row, say)
            await _page(url, GREETING)
        story.urls.append(("hello-node", url))
        async with story.step(phrase("demo_change"), say):
            await _change(work, folder)
        async with story.step(phrase("demo_redeploy"), say) as row:
            url = await person.deploy(app, CreateDeploy(), row, say)
            await _page(url, CHANGED)
        async with story.step(phrase("demo_image"), say):
            image = await _static_image(platform, folder)
        async with story.step(phrase("demo_deploy_image"), say) as row:
            second = await person.api.create_app(person.user_id, CreateApp(app_name="hello-static"))
            url = await person.deploy(second, CreateDeploy(image=image, container_port=80), row, say)
            await _page(url, GREETING)
        story.urls.append(("hello-static", url))
        await person.api.close()
        return story
    finally:
        await api.close()
        shutil.rmtree(folder, ignore_errors=True)


async def clean(platform: Platform, say: Say) -> None:
    """Remove what the demo made outside its data dir: the apps' containers and the images of this platform's registry."""
    say(phrase("demo_clean"))
    api = ApiClient(platform.options.api_url)
    try:
        user, token = await api.login(USER, PASSWORD)
        authed = ApiClient(platform.options.api_url, {"Authorization": f"Bearer {token}"})
        try:
            for app in await authed.apps(user.id):
                await authed.delete_app(user.id, app.id)
        finally:
            await authed.close()
    finally:
        await api.close()
    ours = f"{platform.options.registry_address}/"
    listed = await run(platform.engine.cli("images", "--no-trunc", "--format", "{{.ID}} {{.Repository}}"), timeout=30)
    stale = {image for image, _, name in (line.partition(" ") for line in listed.text.splitlines()) if name.startswith(ours)}
    if stale:
        await run(platform.engine.cli("rmi", "--force", *sorted(stale)), timeout=60)


@dataclass(frozen=True)
class _Person:
    api: ApiClient
    user_id: int

    async def deploy(self, app: App, wishes: CreateDeploy, row: Row, say: Say) -> str:
        """Press deploy, follow it to its end; answers the public address. Raises DemoFailed."""
        job = await self.api.deploy(self.user_id, app.id, wishes)
        shown = ""
        deadline = time.monotonic() + JOB_SECONDS
        while not job.status.final:
            if time.monotonic() > deadline:
                raise DemoFailed(phrase("demo_still", job=job.id, status=job.status, seconds=JOB_SECONDS))
            phase = str(job.payload.get("phase") or job.status)
            if phase != shown:
                say(f"  {phase_words(phase)}")
                shown = phase
            await asyncio.sleep(0.1)
            job = await self.api.job(job.id)
        if job.status is not JobStatus.SUCCEEDED or not job.deploy_url:
            told = phrase("demo_ended", job=job.id, status=job.status, why=job.error_message)
            raise DemoFailed(f"{told}\n{await self._last_lines(job)}")
        if job.result and job.result.phases_ms:
            row.phases_ms = job.result.phases_ms
        return job.deploy_url

    async def _last_lines(self, job: Job) -> str:
        piece = await self.api.job_log(job.id, 0)
        return "\n".join(piece.chunk.splitlines()[-20:])


async def _register(platform: Platform, api: ApiClient, folder: Path) -> _Person:
    await api.register(USER, PASSWORD)
    user, token = await api.login(USER, PASSWORD)
    person = ApiClient(platform.options.api_url, {"Authorization": f"Bearer {token}", "Accept-Language": language()})
    await person.add_key("demo", AddSshKey(public_key=ensure_key(folder / "id_ed25519", "demo")).public_key)
    return _Person(person, user.id)


async def _push_example(platform: Platform, example: Path, folder: Path, app: App) -> Path:
    """Copy the example, make it a repository, push. Answers the work tree."""
    work = folder / "hello-node"
    shutil.copytree(example, work)
    page = _greeting_file(work)
    page.write_text(page.read_text().replace(_greeting_of(page), GREETING))
    options = platform.options
    (folder / "known_hosts").write_text(known_hosts_line(platform.layout.git_host_key, options.public_host, options.ports.git))
    if not app.repo_ssh_url:
        raise DemoFailed(phrase("demo_no_repo"))
    await _git(work, folder, "init", "--quiet", "--initial-branch=main")
    await _git(work, folder, "remote", "add", "origin", app.repo_ssh_url)
    await _commit_and_push(work, folder, "first")
    return work


async def _change(work: Path, folder: Path) -> None:
    page = _greeting_file(work)
    page.write_text(page.read_text().replace(GREETING, CHANGED))
    await _commit_and_push(work, folder, "another greeting")


async def _commit_and_push(work: Path, folder: Path, message: str) -> None:
    await _git(work, folder, "add", "--all")
    await _git(work, folder, "-c", "user.name=demo", "-c", "user.email=demo@example.com", "commit", "--quiet", "-m", message)
    await _git(work, folder, "push", "--quiet", "origin", "HEAD:main")


async def _git(work: Path, folder: Path, *words: str) -> Finished:
    # The folder's name is ours (mkdtemp), so it can stand in GIT_SSH_COMMAND, which git splits like a shell.
    only = "-o IdentitiesOnly=yes -o StrictHostKeyChecking=yes"
    ssh = f"ssh -F none -i {folder}/id_ed25519 {only} -o UserKnownHostsFile={folder}/known_hosts"
    env = {"GIT_SSH_COMMAND": ssh, "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CONFIG_NOSYSTEM": "1", "GIT_TERMINAL_PROMPT": "0"}
    done = await run(Command(("git", *words), cwd=work, env=env), timeout=60)
    if done.code != 0:
        raise DemoFailed(phrase("demo_git", verb=words[0], why=done.error_text[-500:]))
    return done


def _greeting_file(work: Path) -> Path:
    return work / "greeting.txt"


def _greeting_of(page: Path) -> str:
    return page.read_text().strip()


async def _static_image(platform: Platform, folder: Path) -> str:
    """Build and push the prebuilt image as an operator would. Answers its name in this platform's registry."""
    name = f"{platform.options.registry_address}/{STATIC_IMAGE}"
    auth = folder / "config.json"
    auth.write_text(registry.docker_auth(platform.options.ports.registry, platform.secrets))
    engine = platform.engine
    built = await run(
        engine.cli("build", "--quiet", "--tag", name, "--build-arg", f"GREETING={GREETING}", str(WEB_CONTEXT)), timeout=120
    )
    login = ("--authfile", str(auth)) if engine.kind == "podman" else ()
    push = engine.cli("push", *login, name) if login else engine.cli("--config", str(folder), "push", name)
    for done in (built, await run(push, timeout=120)):
        if done.code != 0:
            raise DemoFailed(phrase("demo_no_image", why=done.error_text[-500:]))
    return name


async def _page(url: str, expected: str) -> None:
    """The public page must carry the text; asked for until it does or the deadline passes. Raises DemoFailed."""
    seen = ""
    deadline = time.monotonic() + PAGE_SECONDS
    async with httpx.AsyncClient(trust_env=False, timeout=5) as http:
        while time.monotonic() < deadline:
            answer = await http.get(url)
            seen = f"HTTP {answer.status_code}: {answer.text[:200]}"
            if answer.status_code == 200 and expected in answer.text:
                return
            await asyncio.sleep(0.1)
    raise DemoFailed(phrase("demo_page", url=url, expected=repr(expected), seen=seen))
