"""The story of a machine that joins: checks, token, settings file, service, first heartbeat."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from pydantic import ValidationError

from funai.base.clients.deploy import NodeDeployClient
from funai.base.clients.transport import Unreachable
from funai.cli.diagnosis import Check, Level
from funai.contracts.errors import ConfigError, Forbidden, FunaiError, NotFound, Unauthenticated
from funai.contracts.nodes import JoinNode, LeaveNode, NodeStanding
from funai.contracts.reasons import Reason
from funai.i18n.cli import phrase as words
from funai.standalone.node import settings_file
from funai.standalone.node.service import Foreground, Service
from funai.standalone.node.settings_file import CREDENTIAL, DEPLOY_URL, NAME, Addresses

HEARD_EVERY = 0.5
FLAGS = {"token": "--token", "name": "--name", "agent_base_url": "--agent-url", "gateway_base_url": "--gateway-url"}
CLOSED = (Unauthenticated, Forbidden, NotFound)
"""Deploy does not know this credential or node any more."""


@dataclass(frozen=True)
class Wish:
    """``token`` is asked for when one is needed. ``extra`` are further settings, among them secrets."""

    name: str
    at: Addresses
    config: Path
    engine: str
    language: str
    token: Callable[[], str]
    extra: Mapping[str, str] = field(default_factory=dict[str, str])
    wait_seconds: float = 120
    http: httpx.AsyncBaseTransport | None = None
    """The way to Deploy, for tests."""


class NotHeard(Exception):
    """The agent was started and Deploy did not hear of it; the text says where to look."""


async def join(wish: Wish, service: Service, say: Callable[[str], None]) -> NodeStanding:
    """Make this machine the node, or make sure that it is. Raises FunaiError, ConfigError, OSError, NotHeard."""
    before = settings_file.read(wish.config)
    values = settings_file.settings(wish.name, wish.at, engine=wish.engine, kept=before)
    settings_file.check({**before, **values, **wish.extra})
    settings_file.prepare(wish.config)
    known = await _known(wish, before)
    if known:
        say(words("join_known", wish.language, node=wish.name))
    secrets = {} if known else await _traded(wish, before, say)
    settings_file.write(wish.config, {**values, **wish.extra, **secrets})
    say(words("join_written", wish.language, file=wish.config))
    since = (await _asking(wish, lambda deploy: deploy.standing(wish.name))).now_ms
    await asyncio.to_thread(service.start, wish.config, wish.engine)
    say(words("join_started", wish.language))
    heard = await _heard(wish, since, service)
    say(words("join_heard", wish.language, node=heard.name, health=heard.health.value))
    return heard


async def leave(config: Path, service: Service, *, with_apps: bool, http: httpx.AsyncBaseTransport | None = None) -> int | None:
    """Deploy forgets the node, then agent and proxy stop and the file goes; answers how many apps it had.

    None: Deploy did not know the node any more. Raises FunaiError, and then nothing was changed here.
    """
    given = settings_file.read(config)
    if missing := [key for key in (NAME, DEPLOY_URL, CREDENTIAL) if not given.get(key)]:
        raise ConfigError([f"{config}: {', '.join(missing)}: is not set"])
    deploy = NodeDeployClient(given[DEPLOY_URL], given[CREDENTIAL], http=http)
    apps: int | None = None
    try:
        apps = len((await deploy.leave(LeaveNode(node_name=given[NAME], with_apps=with_apps))).apps)
    except (Unauthenticated, NotFound) as e:
        if e.reason not in (Reason.UNAUTHENTICATED, Reason.NODE_NOT_FOUND):
            raise
    finally:
        await deploy.close()
    await asyncio.to_thread(service.stop, config)
    config.unlink(missing_ok=True)
    return apps


async def _known(wish: Wish, before: Mapping[str, str]) -> bool:
    """Whether the file has a credential with which Deploy knows this very node."""
    if before.get(NAME) != wish.name or not before.get(CREDENTIAL):
        return False
    try:
        await _asking(wish, lambda deploy: deploy.standing(wish.name))
    except CLOSED:
        return False
    return True


async def _traded(wish: Wish, before: Mapping[str, str], say: Callable[[str], None]) -> dict[str, str]:
    """The node's secrets, for the token."""
    try:
        urls = {"agent_base_url": wish.at.agent, "gateway_base_url": wish.at.gateway}
        asked = JoinNode(token=wish.token(), name=wish.name, **urls)
    except ValidationError as e:  # its text would show the token
        wrong = ", ".join(sorted({FLAGS[str(error["loc"][0])] for error in e.errors()}))
        raise ConfigError([f"{wrong}: can't be used; give plain text, and URLs such as http://10.0.0.5:7005"]) from None
    deploy = NodeDeployClient(wish.at.deploy, "", http=wish.http)
    try:
        joined = await deploy.join(asked)
    finally:
        await deploy.close()
    say(words("join_traded", wish.language, node=joined.name, id=joined.node_id))
    agent_token = wish.extra.get("RUNTIME_AGENT_TOKEN") or joined.agent_token or before.get("RUNTIME_AGENT_TOKEN")
    if not agent_token:
        settings_file.write(wish.config, {NAME: wish.name, CREDENTIAL: joined.credential})  # the token is used up
        raise ConfigError([words("join_no_agent_token", wish.language)])
    return {CREDENTIAL: joined.credential, "RUNTIME_AGENT_TOKEN": agent_token}


async def _asking(wish: Wish, ask: Callable[[NodeDeployClient], Awaitable[NodeStanding]]) -> NodeStanding:
    """With the credential of the settings file."""
    deploy = NodeDeployClient(wish.at.deploy, settings_file.read(wish.config).get(CREDENTIAL, ""), http=wish.http)
    try:
        return await ask(deploy)
    finally:
        await deploy.close()


async def _heard(wish: Wish, since_ms: int, service: Service) -> NodeStanding:
    """Wait for a heartbeat not before ``since_ms`` of Deploy's clock."""
    end = time.monotonic() + wish.wait_seconds
    while time.monotonic() < end:
        if isinstance(service, Foreground) and service.child and (code := service.child.poll()) is not None:
            raise NotHeard(words("join_ended", wish.language, code=code))
        try:
            seen = await _asking(wish, lambda deploy: deploy.standing(wish.name))
        except Unreachable:
            seen = None
        if seen and (seen.last_heartbeat_at_ms or 0) >= since_ms:
            return seen
        await asyncio.sleep(HEARD_EVERY)
    raise NotHeard(words("join_silent", wish.language, seconds=round(wish.wait_seconds)))


async def checks(wish: Wish, *, root: bool, packages: list[str], socket: str, taken: Callable[[int], bool]) -> list[Check]:
    """What would keep this machine from being a node. Ports are not looked at where it is one already."""
    say, mine = wish.language, settings_file.read(wish.config).get(NAME) == wish.name
    found = [Check("root", Level.OK if root else Level.FAIL, "" if root else words("join_root", say))]
    if packages:
        found.append(Check("packages", Level.FAIL, words("join_packages", say, packages=" ".join(packages))))
    engine = await _engine(socket)
    failed = words("join_no_engine", say, socket=socket)
    found.append(Check("engine", Level.OK if engine else Level.FAIL, engine or failed))
    for flag, port in zip(("--agent-url", "--gateway-port"), wish.at.ports, strict=True):
        if not mine and taken(port):
            found.append(Check(f"port {port}", Level.FAIL, words("join_port", say, port=port, flag=flag)))
    found.append(await _deploy(wish))
    return found


async def _engine(socket: str) -> str:
    """Its name and version as its API answers; empty when nothing answers."""
    try:
        async with httpx.AsyncClient(transport=httpx.AsyncHTTPTransport(uds=socket), timeout=10) as http:
            told = (await http.get("http://engine/version")).json()
        return f"{told['Components'][0]['Name']} {told['Version']}"
    except (httpx.HTTPError, OSError, ValueError, KeyError, IndexError, TypeError):
        return ""


async def _deploy(wish: Wish) -> Check:
    deploy = NodeDeployClient(wish.at.deploy, "", http=wish.http)
    try:
        await deploy.transport.data("GET", "/internal/health")
    except FunaiError as e:
        return Check(
            "deploy", Level.FAIL, f"{wish.at.deploy}: {e.message(wish.language)}", words("join_deploy_away", wish.language)
        )
    finally:
        await deploy.close()
    return Check("deploy", Level.OK, wish.at.deploy)
