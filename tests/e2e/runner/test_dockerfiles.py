"""Dockerfiles as they are written today, built by the engine of yesterday from the text that is written anew for it."""

from __future__ import annotations

from tests.e2e.runner.test_failures import failed
from tests.e2e.runner.world import World
from tests.parts.extent import only_in_full

NODE = "FROM node:20-bookworm-slim"
TODAY = f"""\ufeff# syntax=docker/dockerfile:1
ARG FLAVOUR=a SRC=Builder
{NODE} AS base-amd64
{NODE} AS base-arm64
FROM nosuch.example/x AS app-b
RUN false
FROM base-${{TARGETARCH:-amd64}} AS app-a
ARG FLAVOUR
RUN echo "$FLAVOUR from $(cat /proc/self/comm)" > /f && \\

  # a comment
    echo \\
    add --repository=https://dl.example.org/x pkg
FROM --platform=$BUILDPLATFORM app-${{FLAVOUR}} AS Builder
RUN <<EOT
set -e
echo "FROM u1-app9" > /list
false || echo "one ' two" >> /list
EOT
RUN node - <<'JS' > /js && cat <<-A <<-B >> /js
console.log(`${{1 + 1}} $HOME`)
JS
	a
	A
	b
	B
RUN <<EOT
#!/usr/bin/env node
require("fs").writeFileSync("/shebang", "ran")
EOT
FROM app-a
ARG SRC TARGETPLATFORM
ENV N=7
COPY --from=$SRC /list /js /shebang /out/
COPY --chmod=u=rwx,go=rx --link <<RUN.sh <<'plain' server.js /d/
#!/bin/sh
echo $N \\$N
RUN.sh
$N
plain
ADD --link server.js /added
RUN printf "\\
from ${{X%%.*}}|\\n\\
" > /g
RUN --mount=type=bind,from=builder,target=/m --mount=type=cache,target=/c ls /m/list /dev/shm > /h
RUN cat /f /g /h /out/list /out/js /out/shebang; echo; /d/RUN.sh; cat /d/plain; stat -c %a /d/plain /d/server.js; \\
    cat /added; echo on $TARGETPLATFORM
"""
SAYS = """\
a from cat
from |
/m/list

/dev/shm:
FROM u1-app9
one ' two
2 $HOME
b
ran
7 7
$N
755
755
hello
on linux/amd64
"""


async def test_todays_dockerfile_builds(world: World) -> None:
    job = world.build(world.repo("today", {"Dockerfile": TODAY, "server.js": "hello\n"}))
    assert (await world.ended(job))["status"] == "SUCCEEDED", world.deploy.log(job)
    log = world.deploy.log(job)
    assert SAYS in log and "nosuch" not in log and "Error" not in log
    assert world.leftovers() == []


@only_in_full  # which file counts is in tests/pure/dockerfile
async def test_the_ignore_file_beside_a_dockerfile_counts(world: World) -> None:
    text = f"{NODE}\nCOPY . /c\nRUN ls /c\nRUN test ! -e /c/secret\n"
    files = {"web/Dockerfile": text, "web/Dockerfile.dockerignore": "secret\n", "secret": "1", "a": "2"}
    job = world.build(world.repo("ignore", files), dockerfilePath="web/Dockerfile")
    assert (await world.ended(job))["status"] == "SUCCEEDED", world.deploy.log(job)


@only_in_full  # tests/pure/dockerfile has each line
async def test_what_cannot_be_built_is_said_before_the_build_by_the_line(world: World) -> None:
    texts = {
        "line 2: the platform's builder has no COPY --exclude=*.md": f"{NODE}\nCOPY --exclude=*.md . .\n",
        "line 1: --platform=linux/arm64: this node builds linux/amd64": f"FROM --platform=linux/arm64 {NODE.split()[1]}\n",
        "line 3: unknown instruction NPM": f"{NODE}\n\nNPM ci\n",
        "line 1: the image u2-app1 may not be used here": "FROM u2-app1 AS u2-app1\nRUN cat /secret\n",
        "line 1: the image 127.0.0.1:46099/x may not be used here": "FROM 127.0.0.1:46099/x\n",
    }
    for said, text in texts.items():
        job = world.build(world.repo(f"no{len(said)}", {"Dockerfile": text}))
        failed(await world.ended(job), "CONTRACT_INVALID", "user", said)
        assert "STEP" not in world.deploy.log(job)
