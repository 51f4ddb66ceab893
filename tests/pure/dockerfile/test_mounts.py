"""A ``RUN --mount`` shows a step the app's own files and caches, and never a folder of the host."""

from __future__ import annotations

import pytest

from funai.dockerfile.mounts import share_caches
from tests.pure.dockerfile.kit import errors, plan

BASE = "FROM node:20 AS a\n"


@pytest.mark.parametrize(
    "text",
    [
        "RUN --mount=type=bind,from=a,source=/link,target=/x true",
        "RUN --mount=from=a,src=link,dst=/x true",
        "RUN --mount=type=bind,from=node:20,source=/etc,target=/x,rw true",
        "RUN --mount=type=cache,from=a,source=/link,target=/x true",
        "RUN --mount=type=cache,id=../../..,target=/x true",
        "RUN --mount=type=cache,id=.,target=/x true",
        "RUN --mount=type=cache,id=a/../../..,target=/x true",
        "RUN --mount=type=cache,target=/ true",
        "RUN --mount=type=cache,target=../../x true",
        "RUN --mount=type=cache,target=x true",
        "RUN --mount=type=cache,id=c,source=link,target=/x true",
        "RUN --mount=type=cache,target=/c true\nRUN --mount=type=cache,target=/c/link true",
        "RUN --mount=type=cache,target=/c true\nRUN --mount=type=cache,id=c/link,target=/x true",
        "RUN --mount=type=cache,target=/c true\nRUN --mount=type=cache,target=//c/./link true",
        "RUN --mount=type=cache,target=/c true\nRUN --mount=type=cache,target=/c,sharing=locked true",
        "RUN --mount=type=cache,id=buildah-cache-lockfiles,target=/c true",
        "ENV I=../../..\nRUN --mount=type=cache,id=$I,target=/x true",
        'RUN --mount="type=bind,target=/x y,from=a,source=/link" true',
        "ENV S=a,source=/link\nRUN --mount=type=cache,id=$S,target=/x true",
        "RUN --mount=type=secret,id=a,env=B true",
        "RUN --mount=type=bind,target=/x\\ ,from=a,source=/link true",
        "RUN --mount=type=bind,target=/x\x1c,from=a,source=/link true",
        "RUN --mount=type=bind,\\\nfrom=a,source=/link,target=/x true",
        "RUN --mount=type=cache,target=/x --mount=from=a,source=/link,target=/y true",
        "RUN --mount=from=,from=a,source=/link,target=/x true",
        "ONBUILD RUN --mount=from=a,source=/link,target=/x true",
        "RUN --mount=type=devpts,target=/x true",
    ],
)
def test_a_source_that_a_step_could_bend_is_refused(text: str) -> None:
    assert errors(BASE + text)


@pytest.mark.parametrize(
    "text",
    [
        "RUN --mount=type=cache,target=/root/.npm npm ci",
        "RUN --mount=type=cache,id=npm-$TARGETARCH,target=node_modules/.cache npm ci",
        "RUN --mount=type=cache,id=apt,target=/var/cache/apt,sharing=locked --mount=type=cache,target=/var/lib/apt apt update",
        "RUN --mount=type=cache,target=/root/.npm npm ci\nRUN --mount=type=cache,target=/root/.npm npm run build",
        "RUN --mount=type=bind,from=a,target=/a cp /a/x /x\nRUN --mount=from=a,source=/,target=/a,rw true",
        "RUN --mount=type=tmpfs,target=/t --mount=type=secret,id=s --mount=type=ssh true",
        "RUN echo --mount=from=a,source=/link,target=/x",
    ],
)
def test_what_dockerfiles_really_mount_is_allowed(text: str) -> None:
    assert errors(BASE + text) == [] and not any(m.of_context for m in plan(BASE + text).mounts)


def test_files_of_the_context_are_named_for_who_can_look_at_them() -> None:
    text = "FROM a\nARG F=lock\nRUN --mount=type=bind,source=package-$F.json,target=l --mount=target=.,readwrite npm ci"
    assert {(m.source, m.writable) for m in plan(text).mounts} == {("package-lock.json", False), (".", True)}
    assert [m.source for m in plan("FROM a\nRUN --mount=source=../../etc/,target=/x true").mounts] == ["etc"]


def test_steps_that_share_a_cache() -> None:
    one, two = "RUN --mount=type=cache,target=/a true\n", "RUN --mount=type=cache,id=b,target=/a true\n"

    def shared(text: str) -> bool:
        return share_caches(plan(BASE + text).mounts)

    assert not shared(one + two) and not shared("RUN \\\n  --mount=type=cache,target=/a true\n")
    assert shared(one + one) and shared(two + "RUN --mount=type=cache,id=b,target=/x true\n")
    assert not shared(one + BASE + one), "the first stage is not needed"
