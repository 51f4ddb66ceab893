"""What is answered when an app's container gives no answer: the app's fault, or the end of our own drain. Pure.

A request that was on its way when its generation was replaced (or its app stopped) ends with that container, after the
drain. Then the app's entry is another one than the request was sent by, and the answer says so.
"""

from __future__ import annotations

from funai.gateway.pages import pages
from funai.gateway.pages.pages import Page

KINDS = {"replaced": pages.REPLACED, "unreachable": pages.UNREACHABLE}
VARIANTS = ("html", "json_zh", "json_en")
_TRACE = "@t@"


def map_files() -> dict[str, str]:
    """File name → content: a page of each kind, up to where the trace id stands, on a line."""
    return {
        _file(variant): "".join(f"{kind} {_parts(page, variant)[0]}\n" for kind, page in KINDS.items()) for variant in VARIANTS
    }


def answers(variant: str, folder: str, routes: str, kind: str) -> list[str]:
    """``http-error`` lines for an app that can't be connected (HAProxy's 503) or breaks off (502)."""
    choice = f"{_changed(routes)},iif(replaced,unreachable),map_str({folder}/{_file(variant)})"
    before, tail = _parts(pages.UNREACHABLE, variant)
    # A map's values lose the blank at their end.
    text = f"'%[{choice}]{before[len(before.rstrip()) :]}%[unique-id]{tail.replace('%', '%%')}'"
    return [
        f'http-error status {code} content-type "{kind}; charset=utf-8" lf-string {text} hdr Cache-Control no-store'
        for code in (502, 503)
    ]


def statuses(routes: str) -> list[str]:
    """To the public a container that can't be reached is a bad gateway; one that was replaced meanwhile, a passing 503."""
    return [
        f"acl still_there {_changed(routes)} eq 0",
        "acl answered var(txn.answered) -m found",
        "acl failed status 502 503",
        "http-after-response set-header Retry-After 1 if failed !answered !still_there",
        'http-after-response set-status 503 reason "Service Unavailable" if failed !answered !still_there',
        'http-after-response set-status 502 reason "Bad Gateway" if failed !answered still_there',
    ]


def _changed(routes: str) -> str:
    """Not 0 when the app's entry is not the one that the request was sent by."""
    return f"var(txn.app),map_str({routes},-),strcmp(txn.route)"


def _file(variant: str) -> str:
    return f"fault.{variant}.map"


def _parts(page: Page, variant: str) -> tuple[str, str]:
    """The page before and behind its trace id."""
    if variant == "html":
        text = pages.as_html(page, trace=_TRACE)
    else:
        text = pages.as_json(page, variant.removeprefix("json_"), trace=_TRACE)
    before, _, behind = text.rstrip("\n").partition(_TRACE)
    return before, behind
