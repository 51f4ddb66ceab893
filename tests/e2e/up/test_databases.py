"""An app with its data in this machine's own PostgreSQL: filled, redeployed, rolled back, backed up, deleted, restored."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from funai.base.clients.databases import DatabasesClient
from funai.contracts.accounts import App
from funai.contracts.apps.databases import DatabaseWish
from funai.contracts.states import JobStatus
from funai.standalone.parts import postgres
from funai.standalone.parts.engine import EngineChoice
from tests.e2e.up.world import DOCKERFILE, Platform
from tests.parts.extent import only_in_full

EXAMPLE = Path(__file__).parents[3] / "examples" / "todo-postgres"


def files(colour: str) -> dict[str, str]:
    """The example with its client beside it, where `npm ci` would have put it: builds of tests install no packages."""
    server = (EXAMPLE / "server.js").read_text(encoding="utf-8").replace("<h1>To do</h1>", f"<h1>{colour}</h1>")
    client = Path(__file__).with_name("pg.js").read_text(encoding="utf-8")
    return {"server.js": server, "node_modules/pg/index.js": client, "Dockerfile": DOCKERFILE}


async def todos(up: Platform, app: App, text: str | None = None) -> list[str]:
    async with httpx.AsyncClient(trust_env=False, timeout=10) as http:
        url = f"{up.gateway_url}/runtime/{app.id}/api/todos"
        answer = await (http.post(url, content=json.dumps({"text": text})) if text else http.get(url))
        assert answer.status_code == 200, answer.text
        return [item["text"] for item in answer.json()]


@pytest.fixture
def up(machine_engine: EngineChoice, short_path: Path) -> Iterator[Platform]:
    """A platform with a PostgreSQL, which the shared one hasn't: it would cost every session its making."""
    platform = Platform(short_path / "data", machine_engine, postgres="embedded")
    try:
        platform.start()
        yield platform
    finally:
        platform.destroy()


@only_in_full  # each half of it is in every run: tests/service/{agent/databases,api,standalone}
@pytest.mark.skipif(postgres.programs() is None, reason="PostgreSQL isn't installed")
async def test_an_apps_data_outlive_its_releases_and_a_backup_its_app(up: Platform) -> None:
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
    assert "<h1>one</h1>" in (await up.get(app.id))[1]
    assert await todos(up, app) == ["milk", "bread"]

    backup = await databases.backup(person.user_id, app.id, wish)
    gone = await person.api.delete_app(person.user_id, app.id)
    assert gone.complete, gone.steps
    assert any("dropped postgres" in (step.detail or "") for step in gone.steps)

    again = await person.app("again", files("three"))
    restore = DatabaseWish(backup=backup.name, from_app_id=app.id)
    await databases.restore(person.user_id, again.id, restore)
    assert (await person.deploy(again)).status is JobStatus.SUCCEEDED
    assert await todos(up, again, "eggs") == ["milk", "bread", "eggs"]
    await person.api.delete_app(person.user_id, again.id)
    await person.api.close()
