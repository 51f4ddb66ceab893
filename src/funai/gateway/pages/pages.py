"""What the gateway itself says when no app can: small bilingual pages, and the envelope for requests for JSON.

Pure: a page is a value; ``trace`` is whatever stands for the request's trace id (a proxy's placeholder, or the id).
"""

from __future__ import annotations

import html
import json
from dataclasses import dataclass

from funai.contracts.reasons import Reason
from funai.i18n.reasons import render

LANGUAGES = ("zh", "en")


@dataclass(frozen=True, slots=True)
class Page:
    """``reason`` is the catalogue's word; the hints say what the reader can do. ``refresh``: the page reloads itself."""

    name: str
    status: int
    reason: Reason
    hint_zh: str
    hint_en: str
    refresh: bool = False


UNKNOWN = Page("unknown", 404, Reason.APP_NOT_FOUND, "请检查链接是否正确。", "Check the link.")
STOPPED = Page("stopped", 503, Reason.APP_STOPPED, "应用的主人可以重新启动它。", "Its owner can start it again.")
STARTING = Page("starting", 503, Reason.APP_STARTING, "本页会自动刷新。", "This page reloads by itself.", refresh=True)
BUSY = Page("busy", 503, Reason.APP_BUSY, "请稍后重试。", "Try again in a moment.")
CROWDED = Page("crowded", 503, Reason.GATEWAY_BUSY, "请稍后重试。", "Try again in a moment.")
REPLACED = Page(
    "replaced",
    503,
    Reason.APP_REPLACED,
    "处理这个请求的版本已被替换或停止；请重新发送。",
    "The version that had this request was replaced or stopped; send it again.",
)
HEAD_TOO_LARGE = Page(
    "head_too_large",
    502,
    Reason.APP_HEAD_TOO_LARGE,
    "网关允许的响应头最多 64 KB、200 个 Cookie。",
    "The gateway takes answers with at most 64 KB of headers and 200 cookies.",
)
REFUSED = Page("refused", 400, Reason.PATH_REFUSED, "路径中不能含有“..”。", "A path may not contain “..”.")
INTERNAL = Page("internal", 500, Reason.INTERNAL, "请稍后重试。", "Try again in a moment.")
UNREACHABLE = Page(
    "unreachable",
    502,
    Reason.APP_UNREACHABLE,
    "应用的进程没有应答，或应答的头部超过 64 KB；主人可以查看它的日志。",
    "Its process gave no answer, or one whose head is over the gateway's 64 KB; its owner can look at the logs.",
)
TIMEOUT = Page(
    "timeout", 504, Reason.APP_TIMEOUT, "应用收到了请求，但没有及时应答。", "It took the request and gave no answer."
)

NODE_AWAY = Page("node_away", 503, Reason.NODE_AWAY, "请稍后重试。", "Try again in a moment.", refresh=True)
PLATFORM_AWAY = Page("platform_away", 503, Reason.UNAVAILABLE, "请稍后重试。", "Try again in a moment.", refresh=True)

ROUTING_PAGES = (UNKNOWN, STOPPED, STARTING, BUSY, CROWDED, REFUSED)
"""Chosen by the routing rules."""

_STYLE = (
    ":root{color-scheme:light dark}body{font:16px/1.6 system-ui,sans-serif;margin:0;min-height:100vh;display:grid;"
    "place-items:center;background:Canvas;color:CanvasText}main{max-width:34rem;padding:2rem}"
    "h1{font-size:1.4rem;margin:0}p{margin:.4rem 0}small{opacity:.65}"
)


def message(page: Page, language: str) -> str:
    """The page's sentence, ``zh`` or ``en``."""
    return render(page.reason, language, {})


def as_html(page: Page, *, trace: str, refresh_seconds: int = 3) -> str:
    """The page in both languages. ``trace`` is put in as it is: give HTML-safe text."""
    zh, en = (html.escape(message(page, language)) for language in LANGUAGES)
    refresh = f'<meta http-equiv="refresh" content="{refresh_seconds}">' if page.refresh else ""
    return (
        '<!doctype html><html lang="zh-CN"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width,initial-scale=1"><meta name="robots" content="noindex">{refresh}'
        f"<title>{page.status} {zh}</title><style>{_STYLE}</style></head><body><main>"
        f'<h1>{zh}</h1><p>{html.escape(page.hint_zh)}</p><p lang="en"><b>{en}.</b> {html.escape(page.hint_en)}</p>'
        f"<p><small>{page.status} {page.reason} · traceId {trace}</small></p></main></body></html>\n"
    )


def as_json(page: Page, language: str, *, trace: str) -> str:
    """The envelope. ``trace`` is put in as it is: give JSON-safe text."""
    body = {
        "code": page.status,
        "message": message(page, language),
        "data": None,
        "reason": page.reason,
        "traceId": "@trace@",
    }
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).replace("@trace@", trace) + "\n"
