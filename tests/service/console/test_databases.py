"""The page of an app's databases: the real API, Deploy, an agent and PostgreSQL behind."""

from __future__ import annotations

import re
from pathlib import Path

from tests.parts.databases import PASSWORD, USER, Postgres
from tests.service.agent.agent import world
from tests.service.agent.databases.tenant import PostgresTenant
from tests.service.console.site import Browser, Site, standing


async def _app(site: Site, ada: Browser) -> str:
    await ada.sign_up("ada")
    await ada.open("/apps/new")
    await ada.send("/apps/new", name="Shop")
    found = re.search(r"(/users/\d+/apps/\d+)/begin", str(ada.last.url))
    assert found, ada.words
    return found.group(1)


async def test_databases_page_makes_shows_backs_up_restores_and_drops(tmp_path: Path, postgres: Postgres) -> None:
    url = f"postgresql://{USER}:{PASSWORD}@127.0.0.1:{postgres.port}/postgres"
    async with world(token="agent", state_dir=str(tmp_path / "agent"), postgres_url=url) as agent, standing(tmp_path) as site:
        site.platform.node.app.mount("/", agent.app)
        ada = site.browser()
        page = f"{await _app(site, ada)}/databases"
        assert "Make a PostgreSQL database" in await ada.open(page)
        await ada.send(f"{page}/create", kind="postgres")
        assert "The database is there." in ada.words
        assert "postgresql://" not in ada.last.text, "hidden until asked for"
        await ada.send(f"{page}/url", kind="postgres")
        shown = re.search(r"postgresql://[^<]+", ada.last.text)
        assert shown and ada.last.headers["Cache-Control"] == "no-store"
        tenant = PostgresTenant(shown[0])
        await tenant.write("one")
        await ada.send(f"{page}/backup", kind="postgres")
        name = re.search(r"postgres-[0-9TZ]+", ada.last.text)
        assert name, ada.words
        await tenant.clear()
        await ada.send(f"{page}/restore", kind="postgres", name=name[0], typed="wrong")
        assert ada.last.status_code == 400
        assert await tenant.read() == []
        await ada.send(f"{page}/restore", kind="postgres", name=name[0], typed="Shop")
        assert await tenant.read() == ["one"]
        await ada.send(f"{page}/rotate", kind="postgres")
        assert "The password is changed" in ada.words
        await ada.send(f"{page}/drop", kind="postgres", typed="Shop")
        assert "The database is gone." in ada.words
        assert name[0] in ada.last.text


async def test_databases_page_without_a_server_says_so(site: Site, ada: Browser) -> None:
    await ada.open("/apps/new")
    await ada.send("/apps/new", name="Shop")
    found = re.search(r"(/users/\d+/apps/\d+)/begin", str(ada.last.url))
    assert found
    await ada.open(f"{found[1]}/databases")
    assert ada.last.status_code >= 400, "the node of this platform has no such call"
    assert "AGENT" in ada.words
