"""Requests that a page of an app makes outside its base path, led back to the app. Pure.

A page under ``/runtime/7/`` that asks for ``/assets/a.js``, posts to ``/login`` or links to ``/about`` means its own app; its
``Referer`` says which one that is. Such a request is answered 307 to ``/runtime/7/…``: method and body are kept, and what
the app loads from there names the app in turn. The platform's own paths and other origins' pages are left alone, and a
service worker's script is never redirected: it would stand in front of every app of the origin.
"""

from __future__ import annotations

_PLATFORM = "/runtime /internal/ /.well-known/ /api/fun-ai/"
"""Beginnings of paths that are the platform's wherever the gateway stands."""
_TOO_SHY = r"^(.*,)?[ \t]*(no-referrer|origin|strict-origin)[ \t]*$"


def leads_back(map_file: str, path_form: str) -> list[str]:
    """Request rules. ``path_form`` is the condition that keeps apps' own names out (with a trailing space), or empty.

    ``txn.authority`` must be set: origins are compared with their ports. Where a browser sends fetch metadata, it has to
    agree that the request comes from a page of this origin.
    """
    asked_here = "{ req.fhdr(referer),field(3,/),lower,strcmp(txn.authority) eq 0 }"
    by_app = "{ req.fhdr(referer),field(4,/) -m str runtime } { req.fhdr(referer),field(5,/) -m reg ^[1-9][0-9]{0,18}$ }"
    mine = f"{path_form}!platform_path !other_page !worker_script"
    known = f"{{ req.fhdr(referer),field(5,/),map_str({map_file}) -m found }}"
    led = (
        'http-request return status 307 hdr Location "/runtime/%[req.fhdr(referer),field(5,/)]%[pathq]"'
        f" hdr Cache-Control no-store hdr Vary Referer if {mine} {asked_here} {by_app} {known}"
    )
    return [
        f"acl platform_path path -m beg {_PLATFORM}",
        "acl other_page req.hdr(sec-fetch-site) -m str cross-site same-site none",
        "acl worker_script req.hdr(service-worker) -m found",
        "acl worker_script req.hdr(sec-fetch-dest) -m str serviceworker",
        led,
    ]


def names_itself() -> list[str]:
    """Response rules: a page that hides its address from its own origin too would not be led back."""
    shy = f"{{ res.fhdr(referrer-policy) -m reg -i '{_TOO_SHY}' }}"
    return [f"http-response set-header Referrer-Policy same-origin if in_base {shy}"]
