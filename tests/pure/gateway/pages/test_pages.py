"""The gateway's own pages."""

from __future__ import annotations

import json
from html.parser import HTMLParser

import pytest

from funai.gateway.pages import pages
from funai.gateway.pages.server import answer
from funai.i18n.reasons import MESSAGES

ALL = (*pages.ROUTING_PAGES, pages.INTERNAL, pages.UNREACHABLE, pages.TIMEOUT)


@pytest.mark.parametrize("page", ALL, ids=lambda p: p.name)
def test_a_page_is_bilingual_small_and_whole(page: pages.Page) -> None:
    text = pages.as_html(page, trace="trace-1")
    HTMLParser().feed(text)
    assert len(text.encode()) < 2000
    for language in pages.LANGUAGES:
        assert pages.message(page, language) in text
    assert page.reason in MESSAGES
    assert "trace-1" in text
    assert "<script" not in text
    assert ("http-equiv" in text) == (page is pages.STARTING)


@pytest.mark.parametrize("page", ALL, ids=lambda p: p.name)
def test_the_envelope(page: pages.Page) -> None:
    said = [json.loads(pages.as_json(page, language, trace="t")) for language in pages.LANGUAGES]
    for envelope in said:
        assert envelope.keys() == {"code", "message", "reason", "data", "traceId"}
        assert (envelope["code"], envelope["reason"], envelope["data"], envelope["traceId"]) == (
            page.status,
            page.reason,
            None,
            "t",
        )
    assert said[0]["message"] != said[1]["message"]


def served(head: str) -> tuple[str, bytes]:
    first, _, body = answer(head, retry_after=4, trace="t").partition(b"\r\n\r\n")
    return first.decode(), body


def test_the_page_server() -> None:
    head, body = served("GET /stopped HTTP/1.1\r\nHost: x\r\n\r\n")
    assert head.startswith("HTTP/1.1 503 Service Unavailable")
    assert f"Content-Length: {len(body)}" in head
    assert "APP_STOPPED" in body.decode()
    head, body = served("GET /starting?x HTTP/1.1\r\nAccept: application/json\r\nAccept-Language: en\r\n\r\n")
    assert "Retry-After: 4" in head
    assert json.loads(body)["message"] == "the app is starting; one moment"
    head, body = served("HEAD /runtime/9/ HTTP/1.1\r\n\r\n")
    assert head.startswith("HTTP/1.1 404 Not Found")
    assert body == b""
    assert served("garbage")[0].startswith("HTTP/1.1 404")
