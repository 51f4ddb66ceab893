"""The distribution driver on a real registry."""

from __future__ import annotations

import itertools
from collections.abc import AsyncIterator

import pytest

from funai.base.clients.registry.distribution import Distribution
from funai.base.clients.registry.http import Login, RegistryHttp
from funai.contracts.errors import CalleeFailed
from tests.parts.registry import Registry
from tests.service.base.clients.registry.pushing import Pusher

_serial = itertools.count(1)
GONE = "sha256:" + "0" * 64


@pytest.fixture
def pusher(private_registry: Registry) -> Pusher:
    return Pusher(private_registry.address, private_registry.login)


@pytest.fixture
def repository() -> str:
    return f"drivers/u1-app{next(_serial)}"


@pytest.fixture
async def driver(private_registry: Registry) -> AsyncIterator[Distribution]:
    assert private_registry.login
    address = private_registry.address
    http = RegistryHttp({address: Login(*private_registry.login)}, plain=lambda _: True, timeout=10)
    made = Distribution(http.at(address))
    yield made
    await made.close()


async def test_it_lists_what_is_tagged(driver: Distribution, pusher: Pusher, repository: str) -> None:
    assert await driver.artifacts(repository) == []
    one = pusher.push(repository, "one", "a" * 40, "latest")
    two = pusher.push(repository, "two", "b" * 40, "latest")
    assert {a.digest: a.tags for a in await driver.artifacts(repository)} == {one: {"a" * 40}, two: {"b" * 40, "latest"}}


async def test_it_lists_more_than_a_page(
    driver: Distribution, pusher: Pusher, repository: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("funai.base.clients.registry.distribution._PAGE", 2)
    digest = pusher.push(repository, "one", *(f"v{i}" for i in range(5)))
    (only,) = await driver.artifacts(repository)
    assert (only.digest, only.tags) == (digest, {f"v{i}" for i in range(5)})


async def test_a_delete_takes_one_manifest_with_its_tags_and_nothing_else(
    driver: Distribution, pusher: Pusher, repository: str
) -> None:
    one, two = pusher.push(repository, "one", "v1", "old"), pusher.push(repository, "two", "v2")
    assert await driver.delete(repository, one)
    assert not await driver.delete(repository, one)
    assert [a.digest for a in await driver.artifacts(repository)] == [two]
    assert await driver.artifact(repository, one) is None
    assert pusher.pullable(repository, two)


async def test_an_untagged_manifest_is_known_by_digest(driver: Distribution, pusher: Pusher, repository: str) -> None:
    one = pusher.push(repository, "one", "latest")
    pusher.push(repository, "two", "latest")
    found = await driver.artifact(repository, one)
    assert found is not None
    assert (found.digest, found.children) == (one, frozenset())
    assert await driver.delete(repository, one)
    assert not pusher.pullable(repository, one)


async def test_an_index_names_its_children(driver: Distribution, pusher: Pusher, repository: str) -> None:
    one, two = pusher.push(repository, "one", "v1"), pusher.push(repository, "two", "v2")
    index = pusher.push_index(repository, [one, two], "both")
    found = await driver.artifact(repository, index)
    assert found is not None
    assert found.children == {one, two}


async def test_what_is_not_there_is_no_error(driver: Distribution, repository: str) -> None:
    assert await driver.artifacts(repository) == []
    assert await driver.artifact(repository, GONE) is None
    assert not await driver.delete(repository, GONE)


async def test_a_refused_login_and_a_dead_registry_are_failures(private_registry: Registry, repository: str) -> None:
    for address in (private_registry.address, "127.0.0.1:9"):
        driver = Distribution(RegistryHttp({address: Login("robot", "wrong")}, plain=lambda _: True).at(address))
        with pytest.raises(CalleeFailed, match="registry"):
            await driver.artifacts(repository)
        await driver.close()
