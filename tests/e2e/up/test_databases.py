"""Apps with their data in this machine's own servers: filled, redeployed, rolled back, backed up, deleted, restored."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest

from funai.base.clients.databases import DatabasesClient
from funai.contracts.accounts import App
from funai.contracts.apps.databases import DatabaseWish, Kind
from funai.contracts.states import JobStatus
from funai.standalone.options import UpOptions
from funai.standalone.parts import postgres
from funai.standalone.parts.engine import EngineChoice
from funai.standalone.services import instance
from scripts.ferretdb import binary
from tests.e2e.up.world import DOCKERFILE, Platform
from tests.parts.extent import only_in_full
from tests.parts.mongo_image import mongo_image

EXAMPLES = Path(__file__).parents[3] / "examples"
TITLE = {Kind.POSTGRES: "<h1>To do</h1>", Kind.MONGO: "POST {"}
PACKAGE = {Kind.POSTGRES: "pg", Kind.MONGO: "mongodb"}


@dataclass
class World:
    """A platform with a server of this kind, which the shared one hasn't: it would cost every session its making."""

    kind: Kind
    up: Platform

    def files(self, colour: str) -> dict[str, str]:
        """The example with its client beside it, where `npm ci` would have put it: builds of tests install no packages."""
        example = EXAMPLES / ("todo-mongo" if self.kind is Kind.MONGO else "todo-postgres")
        server = (example / "server.js").read_text(encoding="utf-8")
        assert TITLE[self.kind] in server
        package = PACKAGE[self.kind]
        client = Path(__file__).with_name(f"{package}.js").read_text(encoding="utf-8")
        server = server.replace(TITLE[self.kind], f"{colour} {TITLE[self.kind]}")
        return {"server.js": server, f"node_modules/{package}/index.js": client, "Dockerfile": DOCKERFILE}


async def todos(up: Platform, app: App, text: str | None = None) -> list[str]:
    async with httpx.AsyncClient(trust_env=False, timeout=10) as http:
        url = f"{up.gateway_url}/runtime/{app.id}/api/todos"
        answer = await (http.post(url, content=json.dumps({"text": text})) if text else http.get(url))
        assert answer.status_code == 200, answer.text
        return [item["text"] for item in answer.json()]


@pytest.fixture(params=list(Kind))
def world(request: pytest.FixtureRequest, machine_engine: EngineChoice, short_path: Path) -> Iterator[World]:
    kind: Kind = request.param
    if kind is Kind.POSTGRES and postgres.programs() is None:
        pytest.skip("PostgreSQL isn't installed")
    if kind is Kind.MONGO and (binary() is None or os.geteuid() != 0):
        pytest.skip("needs root, and FerretDB in place of MongoDB's image: `make setup-test`")
    platform = Platform(short_path / "data", machine_engine, postgres="embedded" if kind is Kind.POSTGRES else "none")
    with ExitStack() as life:
        words: list[str] = []
        if kind is Kind.MONGO:
            image = life.enter_context(mongo_image(machine_engine, f"localhost/funai-test-{os.getpid()}/mongo:7"))
            # The stand-in knows no roles, so its apps share the platform's account.
            text = f'[databases]\nmongo_image = "{image}"\n[settings]\nRUNTIME_MONGO_PER_APP_USERS = false\n'
            (short_path / "funai.toml").write_text(text)
            words = ["--config", str(short_path / "funai.toml"), "--mongo", "container"]
            life.callback(_without_container, platform)
        life.callback(platform.destroy)
        platform.start(*words)
        yield World(kind, platform)


def _without_container(platform: Platform) -> None:
    name = f"funai-mongo.{instance(UpOptions(data_dir=platform.data_dir).with_absolute_dir())}"
    command = platform.engine.cli("rm", "--force", "--volumes", "--ignore", name)
    subprocess.run(command.argv, env={**os.environ, **platform.engine.environment}, check=True, timeout=60)


@only_in_full  # each half of it is in every run: tests/service/{agent/databases,api,standalone}
async def test_an_apps_data_outlive_its_releases_and_a_backup_its_app(world: World) -> None:
    up, files = world.up, world.files
    person = await up.person("ada")
    databases, wish = DatabasesClient(person.api), DatabaseWish()
    app = await person.app("todo", files("one"))
    made = await databases.create(person.user_id, app.id, wish)
    assert [d.name for d in made.databases] == [f"db_u{person.user_id}_a{app.id}"]
    first = await person.deploy(app)
    assert first.status is JobStatus.SUCCEEDED, first.error_message
    assert await todos(up, app, "milk") == ["milk"]

    await person.push(app, files("two"))
    assert (await person.deploy(app)).status is JobStatus.SUCCEEDED
    assert await todos(up, app, "bread") == ["milk", "bread"]
    back = await person.api.rollback(person.user_id, app.id, None)
    assert (await person.ended(back.id)).status is JobStatus.SUCCEEDED
    assert f"one {TITLE[world.kind]}" in (await up.get(app.id))[1]
    assert await todos(up, app) == ["milk", "bread"]

    backup = await databases.backup(person.user_id, app.id, wish)
    gone = await person.api.delete_app(person.user_id, app.id)
    assert gone.complete, gone.steps
    assert any(f"dropped {world.kind}" in (step.detail or "") for step in gone.steps)

    again = await person.app("again", files("three"))
    restore = DatabaseWish(backup=backup.name, from_app_id=app.id)
    await databases.restore(person.user_id, again.id, restore)
    assert (await person.deploy(again)).status is JobStatus.SUCCEEDED
    assert await todos(up, again, "eggs") == ["milk", "bread", "eggs"]
    await person.api.delete_app(person.user_id, again.id)
    await person.api.close()
