"""``doctor fleet``: whether the services of several machines reach each other, after each step of a change.

It looks (Deploy, its nodes' heartbeats, its Runners, the Git server); with an image or a repository it also deploys, rolls
back and deletes an app of its own, which is the way through registry, agent and gateway.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit, urlunsplit

from funai.cli.diagnosis import Check, Level
from funai.contracts.reasons import Reason

if TYPE_CHECKING:
    from funai.cli.session import Session
    from funai.contracts.accounts import App, CreateDeploy
    from funai.contracts.jobs import Job

APP_NAME = "funai-doctor"
ASK_SECONDS = 1.0


@dataclass
class Trial:
    """The app that is deployed for the check, and what was seen."""

    session: Session
    user_id: int
    seconds: float
    app: App | None = None
    served: int = 0
    checks: list[Check] = field(default_factory=list[Check])


async def look(session: Session) -> list[Check]:
    """Deploy, its nodes, its Runners, as the API sees them. Needs an admin's login."""
    checks = [await _asked(session, "deploy", lambda: _deploy(session))]
    if checks[0].level is Level.OK:
        checks.append(await _asked(session, "nodes", lambda: _nodes(session)))
        checks.append(await _asked(session, "runners", lambda: _runners(session)))
    return checks


async def _asked(session: Session, name: str, ask: Callable[[], Awaitable[Check]]) -> Check:
    from funai.contracts.errors import FunaiError

    try:
        return await ask()
    except FunaiError as e:
        # A refusal says itself what to change.
        mend = session.say("fleet_mend") if e.code >= 500 or e.reason in (Reason.FORBIDDEN, Reason.UNAUTHENTICATED) else ""
        return Check(name, Level.FAIL, e.message(session.language), mend)


async def _deploy(session: Session) -> Check:
    said = await session.api.admin("GET", "health")
    return Check("deploy", Level.OK, f"{said.get('proxyBaseUrl')}: {said.get('deploy', {}).get('service', 'ok')}")


async def _nodes(session: Session) -> Check:
    rows: list[dict[str, Any]] = await session.api.admin("GET", "list")
    told = ", ".join(_node_line(n) for n in rows)
    away = [n["name"] for n in rows if n["health"] in ("STALE", "UNHEALTHY")]
    mend = session.say("fleet_nodes_mend") if away else ""
    if len(away) == len(rows):
        return Check("nodes", Level.FAIL, told or session.say("no_nodes"), session.say("fleet_nodes_mend"))
    bad = away or any(n.get("problem") for n in rows)
    return Check("nodes", Level.WARN if bad else Level.OK, told, mend)


def _node_line(node: dict[str, Any]) -> str:
    """Name, health and free disk, and what the node itself reports as wrong."""
    line = f"{node['name']} {node['health']} {node.get('diskFreePct') or 0:.0f}%"
    return f"{line} ({node['problem']})" if node.get("problem") else line


async def _runners(session: Session) -> Check:
    rows: list[dict[str, Any]] = await session.api.admin("GET", "runners/list")
    healthy = [str(r["runnerId"]) for r in rows if r.get("healthy") or r.get("health") == "HEALTHY"]
    if not healthy:
        return Check("runners", Level.FAIL, session.say("no_runners"), session.say("fleet_runners_mend"))
    return Check("runners", Level.OK, ", ".join(healthy))


async def walk(session: Session, user_id: int, image: str | None, repo: str | None, seconds: float) -> AsyncIterator[Check]:
    """A job by image, one by Git, a rollback to the first, and the deletion; each step's check as it is done."""
    from funai.contracts.accounts import CreateApp, CreateDeploy

    trial = Trial(session, user_id, seconds)
    name = f"{APP_NAME}-{int(time.time())}"
    trial.app = await session.api.create_app(user_id, CreateApp(app_name=name))
    try:
        if image:
            yield await _deployed(trial, "job by image", CreateDeploy(image=image))
        if repo:
            yield await _deployed(trial, "job by git", CreateDeploy(repo_ssh_url=repo))
        if trial.served:
            yield await _rolled_back(trial)
    finally:
        yield await _asked(session, "delete", lambda: _deleted(trial))


async def _deployed(trial: Trial, name: str, wishes: CreateDeploy) -> Check:
    async def go() -> Check:
        assert trial.app is not None
        return await _ended(trial, name, await trial.session.api.deploy(trial.user_id, trial.app.id, wishes))

    return await _asked(trial.session, name, go)


async def _rolled_back(trial: Trial) -> Check:
    async def go() -> Check:
        assert trial.app is not None
        releases = await trial.session.api.releases(trial.user_id, trial.app.id)
        if not releases:
            return Check("rollback", Level.WARN, trial.session.say("fleet_no_release"))
        oldest = min(r.number for r in releases)
        return await _ended(trial, "rollback", await trial.session.api.rollback(trial.user_id, trial.app.id, oldest))

    return await _asked(trial.session, "rollback", go)


async def _ended(trial: Trial, name: str, job: Job) -> Check:
    """Wait for the job's end, then for an answer at the app's address."""
    from asyncio import sleep

    api, end = trial.session.api, time.monotonic() + trial.seconds
    while not job.status.final:
        if time.monotonic() > end:
            why = job.reason or (job.payload.get("phase") or "")
            return Check(name, Level.FAIL, f"job {job.id}: {job.status} {why}".strip(), f"funai status --job {job.id}")
        await sleep(ASK_SECONDS)
        job = await api.job(job.id)
    if job.status != "SUCCEEDED":
        return Check(name, Level.FAIL, f"job {job.id}: {job.error_message or job.status}", f"funai logs --job {job.id}")
    trial.served += 1
    return await _answers(trial, name, job)


async def _answers(trial: Trial, name: str, job: Job) -> Check:
    import httpx

    url = job.access_url or job.deploy_url
    if not url:
        return Check(name, Level.WARN, f"job {job.id}: SUCCEEDED")
    try:
        asked, host = reachable(url)
        async with httpx.AsyncClient(timeout=10, follow_redirects=False) as http:
            status = (await http.get(asked, headers={"Host": host})).status_code
    except httpx.HTTPError as e:
        return Check(name, Level.FAIL, f"job {job.id}: {url}: {e}", trial.session.say("fleet_gateway_mend"))
    level = Level.OK if status < 500 and status != 404 else Level.FAIL
    return Check(
        name,
        level,
        f"job {job.id}: {url} HTTP {status}",
        "" if level is Level.OK else trial.session.say("fleet_gateway_mend"),
    )


def reachable(url: str) -> tuple[str, str]:
    """(address, Host header). Names below ``localhost`` are this machine, which browsers know and resolvers may not."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if not host.endswith(".localhost"):
        return url, parts.netloc
    return urlunsplit(parts._replace(netloc=f"127.0.0.1:{parts.port}" if parts.port else "127.0.0.1")), parts.netloc


async def _deleted(trial: Trial) -> Check:
    assert trial.app is not None
    report = await trial.session.api.delete_app(trial.user_id, trial.app.id)
    left = [f"{s.step}: {s.detail}" for s in report.steps if not s.ok]
    return Check("delete", Level.OK if report.complete else Level.FAIL, "; ".join(left) or str(trial.app.id))
