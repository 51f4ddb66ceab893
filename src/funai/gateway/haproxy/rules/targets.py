"""Requests as they may arrive: raw bytes in a path are passed on, other liberties are not. Pure."""

from __future__ import annotations

RAW = "option accept-invalid-http-request"
"""Lets bytes above 127 through in a request's target, as browsers' address bars and scripts send them; what else it would
let through is refused by :func:`strict`."""
_TO_PATH = r"""'%[url,regsub("^[^/]*//[^/?#]*",""),regsub("^([^/]|$)","/\1")]'"""
"""What follows scheme and host; a target without a path means the root, with its query if it has one."""
_HOST = r"url,field(3,/),field(1,?),field(1,\#),lower"
_ODD_NAME = r"[^\x21\x23-\x27\x2a\x2b\x2d\x2e0-9A-Z\x5e-z\x7c\x7e]"

_CONTROL = r"'[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]'"


def strict() -> list[str]:
    """Rules that mark a request ``txn.refused``, then make its target a plain path (RFC 9112, 3.2.2)."""
    refuse = "http-request set-var(txn.refused) int(1) if"
    return [
        "acl absolute url -m beg -i http:// https://",
        f"{refuse} absolute !{{ {_HOST},strcmp(txn.authority) eq 0 }}",
        f"{refuse} !absolute !{{ url -m beg / }} !{{ url -m str * }}",
        f"{refuse} {{ req.fhdr_cnt(host) gt 1 }}",
        f"{refuse} {{ req.hdr_names(|) -m reg {_ODD_NAME} }}",
        f"{refuse} {{ req.hdrs -m reg {_CONTROL} }}",
        f"http-request set-uri {_TO_PATH} if absolute",
        # A client resolves ".." itself before it asks; what still holds one, plain or encoded, wants to get out.
        rf"{refuse} {{ path -m reg -i '(^|/|\\|%2f|%5c)(\.|%2e){{2}}(/|\\|%2f|%5c|$)' }}",
    ]
