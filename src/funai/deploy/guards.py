"""Who may call what: a guard for each kind of caller, which routers depend on."""

from __future__ import annotations

import secrets
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from functools import partial

from fastapi import Request
from pydantic import SecretStr

from funai.base.http.guards import Network, SecretGuard, networks
from funai.base.observability import log
from funai.contracts.apps.edge import TOKEN_HEADER
from funai.contracts.nodes import CredentialKind
from funai.deploy.access.credentials import Credentials
from funai.deploy.settings import DeploySettings

Owner = Callable[[str], Awaitable[str | None]]


@dataclass(frozen=True, slots=True)
class Guards:
    """The guards as the settings want them."""

    api: SecretGuard
    runner: SecretGuard
    edge: SecretGuard
    node: SecretGuard
    joiner: SecretGuard
    """Looks at the caller's address alone: the token in the body is the secret."""
    admin: SecretGuard


def guards_from(settings: DeploySettings, trusted: Sequence[Network], credentials: Credentials) -> Guards:
    """Warns of each that lets all callers in. Raises ConfigError for an address that can't be read."""

    def guard(
        header: str, secret: SecretStr | None, name: str, allowed: Sequence[str], own: Owner | None = None
    ) -> SecretGuard:
        nets = networks(allowed, f"deploy.{name}.allowed-ips")
        if secret is None:
            log.get("deploy").warning("guard.open", guard=f"deploy.{name}", allowed=[str(net) for net in nets] or "anybody")
        return SecretGuard(header, secret, allowed=nets, trusted=trusted, own=own)

    def owner(kind: CredentialKind) -> Owner:
        return partial(credentials.owner, kind)

    s, registry = settings, "runtime-node-registry"
    unknown = SecretStr(secrets.token_urlsafe(32))  # lets no guess in, only a credential of the caller's own
    api_secret = s.proxy_auth_secret if s.proxy_auth_enabled else None
    node_secret = s.node_registry_secret if s.node_registry_enabled else unknown
    admin_secret = s.admin_token if s.admin_enabled else unknown
    return Guards(
        api=guard("X-DEPLOY-SECRET", api_secret, "proxy-auth", s.proxy_auth_allowed_ips),
        runner=guard("X-Runner-Token", s.runner_guard, "runner-auth", s.runner_allowed_ips, owner(CredentialKind.RUNNER)),
        edge=guard(TOKEN_HEADER, s.edge_secret or unknown, "edge", s.edge_allowed_ips, owner(CredentialKind.EDGE)),
        node=guard("X-RT-Node-Token", node_secret, registry, s.node_registry_allowed_ips, owner(CredentialKind.NODE)),
        joiner=SecretGuard(
            "", None, allowed=networks(s.node_registry_allowed_ips, f"deploy.{registry}.allowed-ips"), trusted=trusted
        ),
        admin=guard("X-Admin-Token", admin_secret, "admin", s.admin_allowed_ips),
    )


def _guarded(by: Callable[[Guards], SecretGuard]) -> Callable[[Request], Awaitable[None]]:
    async def check(request: Request) -> None:
        guards: Guards = request.app.state.guards
        await by(guards)(request)

    return check


for_api = _guarded(lambda guards: guards.api)
for_runners = _guarded(lambda guards: guards.runner)
for_edges = _guarded(lambda guards: guards.edge)
for_nodes = _guarded(lambda guards: guards.node)
for_joiners = _guarded(lambda guards: guards.joiner)
for_admins = _guarded(lambda guards: guards.admin)
