"""``harbor setup``: the project, the robots and the retention policy that the platform needs in a Harbor."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from funai.cli.session import Refused, Session
from funai.cli.verb import verb

if TYPE_CHECKING:
    from funai.base.clients.registry.harbor_admin import HarborAdmin, Robot
    from funai.base.clients.registry.harbor_rules import Role


class Policy(StrEnum):
    KEEP = "keep"
    """Left as it is; one that would take needed images is reported."""
    OFF = "off"
    OURS = "ours"
    """One rule: all is retained."""


@dataclass
class Plan:
    """What is asked for, and what came of it so far."""

    address: str
    plain: bool
    project: str
    rotate: bool
    dry_run: bool
    steps: list[dict[str, str]] = field(default_factory=list[dict[str, str]])
    logins: dict[str, Robot] = field(default_factory=dict[str, "Robot"])


def register(app: typer.Typer) -> None:
    group = typer.Typer(no_args_is_help=True, help="A Harbor as the platform's registry: setup.")
    verb(group, "setup", server=False)(setup)
    app.add_typer(group, name="harbor", rich_help_panel="Operate")


async def setup(
    session: Session,
    url: Annotated[str, typer.Argument(help="Harbor's address, such as https://harbor.example.com")],
    project: Annotated[str, typer.Option(help="The project of the apps' images.")] = "funaistudio",
    username: Annotated[str, typer.Option(help="An admin; the password comes from HARBOR_PASSWORD or is asked for.")] = "admin",
    retention: Annotated[Policy, typer.Option(help="The project's tag retention policy.")] = Policy.KEEP,
    rotate: Annotated[bool, typer.Option("--rotate", help="Give robots that are there a new secret.")] = False,
    out: Annotated[
        Path | None, typer.Option(help="Write the credentials into files in this folder.", show_default=False)
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Say what would be done, and do nothing.")] = False,
) -> None:
    """Make the project and robots that the platform needs in a Harbor. Asked again, it makes what is missing."""
    from funai.base.clients.registry.contract import RegistryFailed, Why
    from funai.base.clients.registry.harbor_rules import ROLES

    address, plain = _address(session, url)
    plan = Plan(address, plain, project, rotate, dry_run)
    admin = _open(plan, username, _password(session, username))
    try:
        project_id = await _project(session, plan, admin)
        there = await admin.robots(project_id) if project_id is not None else []
        for role in ROLES:
            await _robot(session, plan, admin, role, there)
        await _retention(session, plan, admin, retention, project_id)
    except RegistryFailed as e:
        if e.why is Why.AUTH:
            raise Refused(session.say("harbor_login"), hint=e.detail) from e
        raise
    finally:
        await admin.close()
    _hand_out(session, plan, out)


def _address(session: Session, url: str) -> tuple[str, bool]:
    """``host[:port]`` and whether it speaks plain HTTP. Raises Refused."""
    from urllib.parse import urlsplit

    from funai.contracts import rules
    from funai.contracts.errors import BadInput

    parts = urlsplit(url.rstrip("/"))
    try:
        if parts.scheme not in ("http", "https") or parts.path or "@" in parts.netloc:
            raise BadInput
        return rules.check_registry(parts.netloc), parts.scheme == "http"
    except BadInput as e:
        raise Refused(session.say("harbor_bad_url", url=url)) from e


def _password(session: Session, username: str) -> str:
    given = session.environ.get("HARBOR_PASSWORD")
    if given:
        return given
    if not sys.stdin.isatty():
        raise Refused(session.say("harbor_no_password"))
    return str(typer.prompt(f"password of {username}", hide_input=True, err=True))


def _open(plan: Plan, username: str, password: str) -> HarborAdmin:
    from funai.base.clients.registry.harbor_admin import HarborAdmin
    from funai.base.clients.registry.http import Login, RegistryHttp

    login = Login(username, password)
    http = RegistryHttp({plan.address: login}, plain=lambda _: plan.plain, trusted=[plan.address], timeout=20)
    return HarborAdmin(http.at(plan.address))


async def _project(session: Session, plan: Plan, admin: HarborAdmin) -> int | None:
    """The project's id; None when it would only be made."""
    found = await admin.project(plan.project)
    if found is not None:
        _step(session, plan, "kept", f"project {plan.project}")
        return found
    _step(session, plan, "made", f"project {plan.project}")
    if plan.dry_run:
        return None
    await admin.create_project(plan.project)
    return await admin.project(plan.project)


async def _robot(session: Session, plan: Plan, admin: HarborAdmin, role: Role, there: list[dict[str, object]]) -> None:
    from funai.base.clients.registry.harbor_rules import lacks

    what = f"robot {role.name}"
    robot = next((r for r in there if str(r.get("name", "")).endswith(f"+{role.name}")), None)
    if robot is None:
        _step(session, plan, "made", what)
        if not plan.dry_run:
            plan.logins[role.name] = await _make(session, plan, admin, role)
        return
    changes = lacks(robot, role)
    _step(session, plan, "changed" if changes or plan.rotate else "kept", what)
    if plan.dry_run:
        return
    if changes:
        await _change(session, plan, admin, role, robot)
    if plan.rotate:
        plan.logins[role.name] = await admin.new_secret(robot)
    else:
        session.out.aside(session.say("harbor_secret_kept", what=what))


async def _make(session: Session, plan: Plan, admin: HarborAdmin, role: Role) -> Robot:
    from funai.base.clients.registry.contract import RegistryFailed
    from funai.base.clients.registry.harbor_rules import robot_body

    made = await admin.create_robot(robot_body(role, plan.project, wishes=True))
    if made is None and role.wish:
        session.out.aside(session.say("harbor_no_wish"))
        made = await admin.create_robot(robot_body(role, plan.project, wishes=False))
    if made is None:
        raise RegistryFailed(f"{role.name}: Harbor gives no robot this access: {role.access}")
    return made


async def _change(session: Session, plan: Plan, admin: HarborAdmin, role: Role, there: dict[str, object]) -> None:
    from funai.base.clients.registry.contract import RegistryFailed
    from funai.base.clients.registry.harbor_rules import robot_body

    if await admin.change_robot(there, robot_body(role, plan.project, wishes=True)):
        return
    if role.wish:
        session.out.aside(session.say("harbor_no_wish"))
    if not await admin.change_robot(there, robot_body(role, plan.project, wishes=False)):
        raise RegistryFailed(f"{role.name}: Harbor gives no robot this access: {role.access}")


async def _retention(session: Session, plan: Plan, admin: HarborAdmin, wanted: Policy, project_id: int | None) -> None:
    from funai.base.clients.registry.harbor_rules import endangering, keep_all, switched_off

    policy = await admin.policy(plan.project) if project_id is not None else None
    rules = endangering(policy) if policy else []
    if wanted is Policy.KEEP:
        if rules:
            session.out.aside(session.say("harbor_danger", rules="; ".join(rules)), "yellow")
            plan.steps.append({"what": "retention policy", "done": "endangers"})
        return
    if not rules and (wanted is Policy.OFF or policy):
        _step(session, plan, "kept", "retention policy")
        return
    _step(session, plan, "changed" if policy else "made", "retention policy")
    if plan.dry_run or project_id is None:
        return
    ours = keep_all(project_id)
    if policy:
        await admin.write_policy(switched_off(policy) if wanted is Policy.OFF else {**ours, "id": policy["id"]})
    else:
        await admin.write_policy(ours)


def _step(session: Session, plan: Plan, done: str, what: str) -> None:
    """``done``: made, changed or kept."""
    would = {"made": "would_make", "changed": "would_change"}
    name = would.get(done, done) if plan.dry_run else done
    plan.steps.append({"what": what, "done": name.replace("_", "-")})
    session.out.line(session.say(f"harbor_{name}", what=what))


def _hand_out(session: Session, plan: Plan, out: Path | None) -> None:
    """Each credential in the form of the place it belongs to: printed, or written where its owner alone reads it."""
    from funai.base.files import write_whole

    files = settings_files(plan)
    if out is not None:
        out.mkdir(parents=True, exist_ok=True, mode=0o700)
    for name, (where, text) in files.items():
        if out is not None:
            write_whole(out / name, text)
            session.out.line(session.say("harbor_written", path=out / name))
            continue
        session.out.line()
        session.out.line(session.say("harbor_where", where=where))
        session.out.line(text.rstrip())
    shown = {} if out is not None else {name: text for name, (_, text) in files.items()}
    session.out.document({"registry": plan.address, "project": plan.project, "steps": plan.steps, "settings": shown})


def settings_files(plan: Plan) -> dict[str, tuple[str, str]]:
    """File name → where its lines go, and the lines. Only robots whose secret is known have one."""
    from funai.base.clients.registry.harbor_rules import CLEANUP, NODE, RUNNER

    files: dict[str, tuple[str, str]] = {}
    if login := plan.logins.get(RUNNER.name):
        lines = {"ACR_REGISTRY": plan.address, "ACR_NAMESPACE": plan.project}
        lines |= {"REGISTRY_USERNAME": login.username, "REGISTRY_PASSWORD": login.secret}
        lines |= {"RUNNER_INSECURE_REGISTRIES": plan.address} if plan.plain else {}
        files["runner.env"] = ("each Runner's environment", _lines(lines))
    if login := plan.logins.get(NODE.name):
        lines = {"REGISTRY_URL": plan.address, "REGISTRY_USERNAME": login.username, "REGISTRY_PASSWORD": login.secret}
        files["agent.env"] = ("each runtime-agent's environment", _lines(lines))
    if login := plan.logins.get(CLEANUP.name):
        key = "deploy.registry.cleanup"
        lines = {f"{key}.enabled": "true", f"{key}.kind": "harbor", f"{key}.registry": plan.address}
        lines |= {f"{key}.namespace": plan.project, f"{key}.username": login.username, f"{key}.password": login.secret}
        lines |= {f"{key}.insecure": "true"} if plan.plain else {}
        files["deploy.properties"] = ("Deploy's .properties file", _lines(lines))
    return files


def _lines(values: dict[str, str]) -> str:
    return "".join(f"{name}={value}\n" for name, value in values.items())
