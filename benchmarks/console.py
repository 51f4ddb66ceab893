"""What the console costs: ``python -m benchmarks.console`` prints one JSON line last.

* ``log_stream_ms``: a running job's page is open; 100,000 lines are appended to its log; from the first byte appended to the
  last line in the document. ``log_append_ms`` of it is the appending itself (the floor: the page can't be done before);
* ``log_open_ms``: the page of the ended job, from the click to the last line in the document;
* ``log_tab_mib``: what the tab's JavaScript heap holds with all lines in it;
* ``first_page_bytes``, ``first_page_ms``: the sign-in page with everything it loads, empty cache, to the load event.

The browser is Debian's Chromium, the API and Deploy are real and in this process, the runner is this program.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import shutil
import tempfile
import time
from pathlib import Path

from playwright.async_api import CDPSession, Page, Response, expect

from tests.e2e.up.browser import chromium
from tests.service.api.platform import PASSWORD
from tests.service.console.site import Site, standing

PIECE = 200 * 1024
"""Bytes appended a call, as a runner does."""
SECONDS = 60_000
"""Milliseconds that the browser is waited for at most."""


async def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--lines", type=int, default=100_000)
    lines = arguments.parse_args().lines
    folder = Path(tempfile.mkdtemp(prefix="funai-bench-console-"))
    try:
        async with standing(folder) as site, chromium(locale="en-US") as watched:
            page = await watched.page()
            figures = {"lines": lines, **await first_page(site, page), **await log(site, page, lines)}
            watched.check()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    print(json.dumps(figures))


async def first_page(site: Site, page: Page) -> dict[str, int]:
    """The sign-in page with an empty cache."""
    sizes: list[asyncio.Task[int]] = []

    async def size(response: Response) -> int:
        return len(await response.body())

    def count(response: Response) -> None:
        sizes.append(asyncio.ensure_future(size(response)))

    page.on("response", count)
    began = time.perf_counter()
    await page.goto(f"{site.url}/register", wait_until="load")
    took = time.perf_counter() - began
    page.remove_listener("response", count)
    return {"first_page_bytes": sum(await asyncio.gather(*sizes)), "first_page_ms": round(took * 1000)}


async def log(site: Site, page: Page, lines: int) -> dict[str, int]:
    """A job's log while it grows, and when it has ended."""
    await page.locator("input[name=user_name]").fill("bench")
    await page.locator("input[name=password]").fill(PASSWORD)
    await page.get_by_role("button", name="Sign up").click()
    await page.goto(f"{site.url}/apps/new")
    await page.get_by_role("button", name="New app").click()
    await page.get_by_role("button", name="Deploy", exact=True).first.click()
    await page.wait_for_url("**/deploys/*")
    job = await site.platform.claim()
    began = time.perf_counter()
    await append(site, job, lines)
    appended = time.perf_counter() - began
    await shown(page, lines)
    streamed = time.perf_counter() - began
    devtools: CDPSession = await page.context.new_cdp_session(page)
    heap = await devtools.send("Runtime.getHeapUsage")
    await site.platform.report(job)
    began = time.perf_counter()
    await page.goto(page.url)
    await shown(page, lines)
    opened = time.perf_counter() - began
    return {
        "log_stream_ms": round(streamed * 1000),
        "log_append_ms": round(appended * 1000),
        "log_open_ms": round(opened * 1000),
        "log_tab_mib": round(heap["usedSize"] / 1024**2),
    }


async def append(site: Site, job: dict[str, object], lines: int) -> None:
    """The log of a job, in pieces, by its runner."""
    text = "".join(f"\x1b[32m{n}\x1b[0m npm fetch {n % 997}\n" for n in range(1, lines + 1))
    for at in range(0, len(text), PIECE):
        body = {"runnerId": "r1", "offset": at, "chunk": text[at : at + PIECE], "leaseToken": job["leaseToken"]}
        answer = await site.platform.inside.post(f"/deploy/jobs/{job['id']}/logs", json=body)
        assert answer.status_code == 200, answer.text


async def shown(page: Page, lines: int) -> None:
    """Wait until the last line stands in the document."""
    last = page.locator("job-log .group:last-child > .block:last-child > .line:last-child")
    await expect(last).to_contain_text(f"{lines} npm", timeout=SECONDS)


if __name__ == "__main__":
    asyncio.run(main())
