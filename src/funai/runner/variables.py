"""What a build and an app learn about themselves, and which of the app's variables a build gets."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from funai.contracts import naming
from funai.contracts.apps.buildspec import AppSpec
from funai.contracts.apps.variables import read_at_build
from funai.contracts.jobs import Job, Payload, RuntimeNodeRef
from funai.i18n.joblog import both


def strips_prefix(payload: Payload, spec: AppSpec) -> bool:
    """Whether the gateway takes the base path off: what the job says, then ``deploy/app.yaml``, then yes."""
    for said in (payload.strip_prefix, spec.strip_prefix):
        if said is not None:
            return said
    return True


def address(payload: Payload, node: RuntimeNodeRef | None, spec: AppSpec) -> dict[str, str]:
    """``BASE_PATH``: what links must begin with, ``""`` where the app has a host name of its own; ``FUNAI_URL``: where it is.

    An app that keeps the prefix is reached below it under either name.
    """
    path = payload.base_path or (naming.base_path(payload.app_id) if payload.app_id else "")
    own = node.apps_url.replace("{app}", str(payload.app_id)) if node and node.apps_url else None
    if not strips_prefix(payload, spec):
        return {"BASE_PATH": path, "FUNAI_URL": naming.deploy_url(own or (node.gateway_base_url if node else ""), path)}
    if own:
        return {"BASE_PATH": "", "FUNAI_URL": own}
    return {"BASE_PATH": path, "FUNAI_URL": naming.deploy_url(node.gateway_base_url, path) if node else ""}


def told(job: Job, payload: Payload, spec: AppSpec, commit: str | None) -> dict[str, str]:
    """Build arguments and variables of the platform's. An app's own variable of the same name wins at run time."""
    return {
        **address(payload, job.runtime_node, spec),
        "FUNAI_APP_ID": str(payload.app_id or ""),
        "FUNAI_COMMIT": commit or "",
        "FUNAI_RELEASE": str(payload.release or job.id),
    }


def build_values(payload: Payload) -> dict[str, str]:
    """The app's variables that builds get."""
    env = payload.env or {}
    return {name: env[name] for name in payload.build_env or () if name in env}


def deciding(job: Job, payload: Payload) -> dict[str, str]:
    """What of the above decides an image, beside the commit: addresses, and the values that builds get."""
    node = job.runtime_node
    where = {
        "basePath": payload.base_path or "",
        "gateway": node.gateway_base_url if node else "",
        "apps": (node and node.apps_url) or "",
    }
    return {**where, **{f"env:{name}": value for name, value in build_values(payload).items()}}


def remarks(payload: Payload, declared: Iterable[str], *, generated: bool) -> list[str]:
    """Lines for the log about variables that a build doesn't see."""
    env, build, declared = payload.env or {}, build_values(payload), set(declared)
    out: list[str] = []
    unseen = read_at_build(name for name in sorted(env) if name not in build)
    if unseen:
        listed = " ".join(f"{n}=…" for n in unseen)
        out.append(f"    {both('variables_unseen', names=', '.join(unseen), listed=listed)}")
    undeclared = [n for n in build if n not in declared]
    if undeclared and not generated:
        lines = ", ".join(f"ARG {n}" for n in undeclared)
        out.append(f"    {both('variables_undeclared', lines=lines)}")
    return out


def environment(job: Job, payload: Payload, spec: AppSpec, commit: str | None) -> Mapping[str, str]:
    """What the app's container gets."""
    return {**told(job, payload, spec, commit), **(payload.env or {})}
