"""The console with another htmx than its own: ``FUNAI_TEST_HTMX`` is the path of a release's ``htmx.min.js``.

htmx 2 has no Trusted Types and no extension for the policy: the extension is left out, and so is what the policy says of them.
"""

from __future__ import annotations

import os
import re
from pathlib import Path

from playwright.async_api import BrowserContext, Route

OTHER = os.environ.get("FUNAI_TEST_HTMX", "")
TRUSTED_TYPES = "; require-trusted-types-for 'script'; trusted-types htmx"


def tells_of_a_lost_request(text: str) -> bool:
    """Whether a page's message is htmx 2's about a request that got no answer; htmx 4 writes none."""
    return bool(OTHER) and text.startswith(("htmx:afterRequest", "htmx:sendError"))


async def serve_other_htmx(context: BrowserContext) -> None:
    """Gives the context's pages the other htmx, when one is named. The console's own stays as it is."""
    if not OTHER:
        return
    script = Path(OTHER).read_text()

    async def page(route: Route) -> None:
        if route.request.resource_type != "document":
            await route.fallback()
            return
        answer = await route.fetch(max_redirects=0)
        policy = answer.headers.get("content-security-policy", "").replace(TRUSTED_TYPES, "")
        headers = {**answer.headers, "content-security-policy": policy}
        if "location" in headers:  # what a redirect leads to would not come by here
            onward = f'<meta http-equiv="refresh" content="0;url={headers.pop("location")}">'
            await route.fulfill(status=200, headers={**headers, "content-type": "text/html"}, body=onward)
        else:
            await route.fulfill(response=answer, headers=headers)

    async def own(route: Route) -> None:
        await route.fulfill(body=script if "htmx.min.js" in route.request.url else "", content_type="text/javascript")

    await context.route("**/*", page)
    await context.route(re.compile(r"/vendor/(htmx|hx-csp)\.min\.js"), own)
