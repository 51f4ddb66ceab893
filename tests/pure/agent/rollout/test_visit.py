"""What is read from tenants' pages, whatever they hold."""

from __future__ import annotations

import httpx
import pytest

from funai.agent.rollout import visit
from funai.agent.rollout.visit import Part, PublicEntry

HTML = {"Content-Type": "text/html"}


@pytest.mark.parametrize(
    "odd", ["<![if IE]>", "<![foo[", "<![ ", "<!>", "<!-", "<?", "</", "<a b='", "&#x110000;", "\0", "<![CDATA["]
)
def test_read_of_odd_markup_keeps_what_came_before(odd: str) -> None:
    assert visit.read(f"<img src=/a.png>{odd}<img src=/b.png>").found[:1] == [Part("image", "/a.png")]


@pytest.mark.parametrize("bad", ["http://[", "//[::1", "http://a]b/"])
async def test_look_of_a_page_with_a_broken_address_still_tells_of_the_others(
    bad: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = f'<base href="{bad}"><img src="{bad}"><img src=/gone.png>'

    def answer(request: httpx.Request) -> httpx.Response:
        found = request.url.path == "/"
        return httpx.Response(200 if found else 404, headers=HTML, stream=httpx.ByteStream(page.encode()))

    def browser(*_: object) -> httpx.AsyncClient:
        return httpx.AsyncClient(transport=httpx.MockTransport(answer), base_url="http://gw")

    monkeypatch.setattr(visit, "_browser", browser)
    (told,) = await visit.notes(PublicEntry("http://gw"), "http://7.example/", own_name=True)
    assert "/gone.png answers 404" in told
