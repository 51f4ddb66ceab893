"""Whether builds on this machine can have the Runner's sandbox; for ``funai doctor``."""

from __future__ import annotations

from funai.runner.sandbox.host import why_not

__all__ = ["why_not"]
