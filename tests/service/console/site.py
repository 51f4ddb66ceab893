"""The API with its console on a port, beside Deploy; a browser without JavaScript in front."""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from html import unescape
from pathlib import Path
from typing import Any

import httpx

from funai.api import main as api_main
from funai.api.accounts.passwords import Passwords
from funai.base.aio import bind, serving
from tests.service.api.platform import PASSWORD, Platform

OWN = {"Sec-Fetch-Site": "same-origin"}


@dataclass
class Browser:
    """Follows links and sends forms as a browser without JavaScript does. ``last`` is the answer shown now."""

    http: httpx.AsyncClient
    last: Any = None
    """The answer that is shown: an httpx.Response."""

    async def open(self, path: str, **headers: str) -> str:
        self.last = await self.http.get(path, headers=headers)
        return self.last.text

    @property
    def token(self) -> str:
        """The form token of the page that is shown."""
        found = re.search(r'name="token" value="([0-9a-f]+)"', self.last.text if self.last else "")
        return found.group(1) if found else ""

    async def send(self, path: str, *, token: str | None = None, headers: dict[str, str] | None = None, **form: Any) -> str:
        data = {"token": self.token if token is None else token, **form}
        self.last = await self.http.post(path, data=data, headers=OWN if headers is None else headers)
        return self.last.text

    async def sign_up(self, name: str) -> str:
        return await self.send("/register", user_name=name, password=PASSWORD)

    @property
    def words(self) -> str:
        """The page's text without markup."""
        return " ".join(unescape(re.sub(r"<[^>]+>", " ", self.last.text)).split())


@dataclass
class Site:
    platform: Platform
    url: str
    browsers: list[Browser] = field(default_factory=list)

    def browser(self, language: str = "en") -> Browser:
        headers = {"Accept-Language": language}
        http = httpx.AsyncClient(base_url=self.url, headers=headers, follow_redirects=True, timeout=30, trust_env=False)
        self.browsers.append(Browser(http))
        return self.browsers[-1]


@asynccontextmanager
async def standing(folder: Path) -> AsyncIterator[Site]:
    """The console and what is behind it, on a free port, while the context is open."""
    stop = asyncio.Event()
    async with Platform(folder).running() as platform:
        sock = bind("127.0.0.1", 0)
        url = f"http://127.0.0.1:{sock.getsockname()[1]}"
        app = api_main.build(platform.settings, repo_host=platform.repos, deploy_http=platform.wire, stop=stop, own_url=url)
        app.state.core.accounts.passwords = Passwords(passes=1, kib=64)
        async with serving(app, sock):
            made = Site(platform, url)
            yield made
            stop.set()
            for browser in made.browsers:
                await browser.http.aclose()
