"""An app's own domains: its owner gives them, Deploy keeps them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from funai.api.apps.service import Apps
from funai.api.deploys.client_pool import DeployClientPool
from funai.base.clients.deploy import DeployClient
from funai.base.http.app import language
from funai.contracts.apps.domains import AddDomain, Domain, DomainTarget, clean_domain
from funai.contracts.errors import NotFound, Unavailable
from funai.contracts.reasons import Reason
from funai.i18n.reasons import render


class OwnDomains:
    """``hosts``: the platform's own, as far as the API knows them. ``limit`` is for each app."""

    def __init__(self, apps: Apps, control: DeployClientPool, hosts: Sequence[str], limit: int) -> None:
        self.apps, self.control, self.hosts, self.limit = apps, control, list(hosts), limit

    async def list(self, user_id: int, app_id: int) -> list[Domain]:
        """Raises NotFound, what the Deploy client raises."""
        await self.apps.own(user_id, app_id)
        with self._asking() as deploy:
            return [_told(domain) for domain in await deploy.domains(app_id)]

    async def add(self, user_id: int, app_id: int, name: str) -> Domain:
        """Raises NotFound, BadInput DOMAIN_INVALID, Conflict DOMAIN_*, what the Deploy client raises."""
        await self.apps.own(user_id, app_id)
        clean = clean_domain(name)
        asked = AddDomain(user_id=user_id, app_id=app_id, name=clean, limit=self.limit, reserved=self.hosts)
        with self._asking() as deploy:
            return _told(await deploy.add_domain(asked))

    async def remove(self, user_id: int, app_id: int, name: str) -> None:
        """Raises NotFound, BadInput, what the Deploy client raises."""
        await self.apps.own(user_id, app_id)
        target = DomainTarget(app_id=app_id, name=clean_domain(name))
        with self._asking() as deploy:
            await deploy.remove_domain(target)

    async def check(self, user_id: int, app_id: int, name: str) -> Domain:
        """Have it looked at again soon. Raises as :meth:`remove`."""
        await self.apps.own(user_id, app_id)
        target = DomainTarget(app_id=app_id, name=clean_domain(name))
        with self._asking() as deploy:
            return _told(await deploy.check_domain(target))

    @contextmanager
    def _asking(self) -> Iterator[DeployClient]:
        try:
            with self.control.asking() as deploy:
                yield deploy
        except NotFound as e:
            if e.reason == Reason.DOMAIN_NOT_FOUND:
                raise
            raise Unavailable(Reason.DOMAINS_NEED_NEWER_DEPLOY) from e


def _told(domain: Domain) -> Domain:
    """With the sentence for its reason, in the language of who asked."""
    if domain.reason is None:
        return domain
    words = {"name": domain.name, "detail": "", "found": "?", "expected": "?", **domain.details}
    return domain.model_copy(update={"message": render(domain.reason, language(), words)})
