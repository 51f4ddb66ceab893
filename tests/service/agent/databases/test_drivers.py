"""What every driver of apps' databases must do, on real servers."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from funai.agent.databases.contract import DatabaseRefused
from tests.service.agent.databases.conftest import Server


async def _kept(chunks: AsyncIterator[bytes]) -> list[bytes]:
    return [chunk async for chunk in chunks]


async def _again(chunks: list[bytes]) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def test_create_gives_credentials_that_write_and_read(server: Server) -> None:
    app = await server.app(server.key(7))
    await app.write("first")
    assert await app.read() == ["first"]


async def test_create_again_keeps_the_data_and_the_credentials(server: Server) -> None:
    key = server.key(7)
    app = await server.app(key)
    await app.write("kept")
    before = await server.driver.credentials(key)
    await server.driver.create(key)
    assert await server.driver.credentials(key) == before
    assert await app.read() == ["kept"]


async def test_credentials_name_the_apps_own_database_in_every_variable(server: Server) -> None:
    key = server.key(7)
    found = await server.driver.credentials(key)
    assert set(found.variables) == set(server.driver.variables)
    assert all(key.name in value for value in found.variables.values())


async def test_exists_and_names_follow_create_and_drop(server: Server) -> None:
    key, other = server.key(7), server.key(8)
    assert not await server.driver.exists(key)
    await server.driver.create(key)
    await server.driver.create(other)
    assert await server.driver.exists(key)
    assert sorted(await server.driver.names()) == sorted([key.name, other.name])
    assert await server.driver.drop(key) is True
    assert await server.driver.drop(key) is False
    assert not await server.driver.exists(key)
    assert await server.driver.names() == [other.name]


async def test_size_grows_with_what_is_written(server: Server) -> None:
    key = server.key(7)
    app = await server.app(key)
    before = await server.driver.size(key)
    for n in range(20):
        await app.write(f"{n}" + "x" * 20_000)
    assert await server.driver.size(key) > before


async def test_restore_of_a_dump_brings_everything_back(server: Server) -> None:
    key = server.key(7)
    app = await server.app(key)
    for text in ("one", "zwei ä", "三"):
        await app.write(text)
    dump = await _kept(server.driver.dump(key))
    await app.clear()
    await app.write("later")
    await server.driver.restore(key, _again(dump))
    assert await app.read() == ["one", "zwei ä", "三"]
    await app.write("and on")
    assert (await app.read())[-1] == "and on"


async def test_restore_into_another_app_leaves_the_first_alone(server: Server) -> None:
    key, other = server.key(7), server.key(8)
    app = await server.app(key)
    await app.write("mine")
    dump = await _kept(server.driver.dump(key))
    await app.write("newer")
    copy = await server.app(other)
    await server.driver.restore(other, _again(dump))
    assert await copy.read() == ["mine"]
    assert await app.read() == ["mine", "newer"]


async def test_restore_of_a_cut_dump_is_refused(server: Server) -> None:
    key = server.key(7)
    app = await server.app(key)
    await app.write("one")
    whole = b"".join(await _kept(server.driver.dump(key)))
    with pytest.raises(DatabaseRefused):
        await server.driver.restore(key, _again([whole[: len(whole) // 2]]))
