"""A Dockerfile builds on public images, its own stages and its own app's images, and the engine fetches nothing for it."""

from __future__ import annotations

import time

import pytest

from funai.contracts.apps.addresses import is_private
from funai.dockerfile.images import Allowed, check_base_prefixes
from funai.dockerfile.rules import problems, trigger_args, trigger_problems
from tests.pure.dockerfile.kit import MAY, OWN, REGISTRY, THEIRS, errors, plan

NODE = "FROM node:20-bookworm-slim"


@pytest.mark.parametrize(
    "text",
    [
        f"FROM {THEIRS}",
        f"from --platform=linux/amd64 {THEIRS}:latest as a",
        f"FROM {THEIRS}@sha256:{'0' * 64}",
        f"FROM {OWN}0:latest",
        f"FROM docker://{THEIRS}",
        f"FROM \\\n# a comment\n  {THEIRS}",
        f"# escape=`\nFROM `\n{THEIRS}",
        "ARG A=127.0.0.1\nARG B=${A}:5000\nFROM $B/funai/u1-app1",
        f"FROM ${{NONE:-{THEIRS}}}",
        'FROM 127.0.0.1:50"00"/fun\\ai/u1-app1',
        f"{NODE}\nCOPY --from={THEIRS} / /x",
        f"{NODE}\nENV A={THEIRS}\nCOPY --from=$A / /x",
        f"{NODE}\nRUN --mount=type=bind,from={THEIRS},target=/x ls /x",
        "FROM 186f1c97135e",
        f"{NODE}\nCOPY --from=7 / /x",
        "FROM containers-storage:abc",
        "FROM dir:/etc",
        "FROM ${A#b}",
        "FROM u1-app1",
        "FROM U1-APP1",
        "FROM funai/u1-app1:latest",
        "FROM docker.io/funai/u1-app1",
        "FROM localhost:5000/funai/u1-app1",
        "FROM 127.0.0.1:50\\\n00/funai/u1-app1",
        f"\ufeffFROM {THEIRS}",
        f"{NODE}\nCOPY --fr\\om={THEIRS} / /x",
        f'{NODE}\nCOPY --fr"o"m={THEIRS} / /x',
        f"{NODE}\nONBUILD COPY --from={THEIRS} / /x",
        f"FROM {THEIRS}:1 AS a\nFROM node:20",
    ],
)
def test_other_tenants_images_are_seen_through_every_disguise(text: str) -> None:
    assert errors(text)


@pytest.mark.parametrize(
    "text",
    [
        "FROM u1-app1 AS u1-app1\nRUN cat /secret",
        f"{NODE} AS x\nCOPY --from=u1-app1 /s /s\nFROM x AS u1-app1\nRUN true",
        f'{NODE} AS "u1-app1"\nRUN true\n{NODE}\nCOPY --from=u1-app1 /s /s',
        "FROM u1-app1:latest AS u1-app1:latest",
        f"{NODE} AS U1-APP1\nRUN true\n{NODE}\nCOPY --from=u1-app1 /s /s",
        f"{NODE} AS u1-app1\n{NODE}\nRUN --mount=from=u1-app1,target=/m true",
    ],
)
def test_a_stage_of_an_apps_name_hides_no_image(text: str) -> None:
    assert "the image u1-app1" in errors(text)[0] and "may not be used here" in errors(text)[0]


@pytest.mark.parametrize(
    "text",
    [
        f"{NODE} AS build\nFROM scratch\nCOPY --from=build /a /a\nCOPY --from=0 /a /a",
        "ARG V=20\nFROM node:${V}-slim\nENV A=1 B=2",
        f"FROM {OWN}:latest",
        f"FROM {OWN}@sha256:{'0' * 64}",
        "FROM docker:24\nFROM mirror.example.com:443/library/node:20",
        "FROM nginx:1.27 AS Web\nFROM web\nRUN echo FROM=1",
        "FROM node:20\nRUN --mount=type=cache,target=/root/.npm npm ci",
        f"{NODE}\nRUN echo commitlint --from HEAD~1\nRUN node x -- --from 20240101",
        f"{NODE}\nRUN echo \\\n    add --repository=https://x.example/x p",
        f"{NODE}\nRUN cat <<EOF\nFROM u1-app1\nADD http://x /x\nEOF",
        "FROM feed",
        f"{NODE}\nRUN curl http://127.0.0.1/ || true",
    ],
)
def test_what_apps_really_write_is_allowed(text: str) -> None:
    assert errors(text) == []


@pytest.mark.parametrize(
    "line",
    [
        "ADD http://127.0.0.1:7002/x /x",
        'add ["https://example.com/x", "/x"]',
        "ADD --chmod=644 http://x/ /x",
        "ONBUILD ADD http://x/ /x",
        "ARG A=http\nADD ${A}:${B:-//x} /x",
        "ADD git@example.com:a/b.git /x",
        'ADD ["http\\u003a//127.0.0.1/x", "/x"]',
        "ADD htt${NOPE}p://127.0.0.1/x /x",
        "ADD \\\nhttp://127.0.0.1/x /x",
        "ADD github.com/a/b /x",
        "ADD 'HTTP://x/y' /x",
    ],
)
def test_no_address_is_fetched_by_the_engine(line: str) -> None:
    assert any("RUN curl" in e for e in errors(f"{NODE}\n{line}"))


def test_values_that_come_from_elsewhere_count() -> None:
    text = f"{NODE}\nARG U\nADD $U /x\n"
    assert not errors(text) and errors(text, {"U": "https://npm.example.com/"}) == [
        "line 3: ADD may not fetch $U; use RUN curl instead"
    ]
    assert errors("ARG B=node\nFROM $B", {"B": THEIRS})


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("RUN --network=host a", "line 2: RUN may not use --network=host"),
        ("RUN --security=insecure b", "--security=insecure"),
        ("RUN --device=/dev/x c", "--device"),
        ("COPY --chmod=go-w a b", "line 2: the platform's builder has no COPY --chmod=go-w; write a number"),
        ("COPY --from=node:22 --chmod=+x b c", "no COPY --chmod=+x; write a number"),
        ("ONBUILD COPY --chmod=+x a b", "ONBUILD may not use --chmod=+x"),
        ("ONBUILD COPY --chmod=a=rx a b", "ONBUILD may not use --chmod=a=rx"),
        ("COPY --exclude=*.md . .", ".dockerignore"),
        ("ADD --checksum=sha256:ab a b", "sha256sum"),
        ("COPY --parents a? b", "one COPY"),
        ("COPY --parents ../a b", "one COPY"),
        ("COPY --parents --from=node:22 a/* b", "one COPY"),
        ("ADD --parents a b", "one COPY"),
        ("ONBUILD COPY --parents a b", "ONBUILD may not use --parents"),
        ("COPY a", "source and a destination"),
        ("COPY --from a b c", "--from=…"),
        ("COPY --from=a --from=b c d", "twice"),
        ("CMD --x y", "CMD has no flag --x"),
        ("ENV A=${B", "wrong variable"),
        ("COPY --from= a b", "nothing to copy"),
        ("COPY --from=scratch a b", "nothing to copy"),
        ("COPY --from=3 a b", "no stage 3"),
        ('COPY --chown="a b" c d', "node:node"),
        ("RUN -- --x", "begin with --"),
        ("ONBUILD RUN --mount=type=cache,target=/x y", "ONBUILD may not use --mount"),
        ("ONBUILD RUN <<A\nx\nA", "&&"),
    ],
)
def test_what_the_builder_lacks_is_named_by_the_line_with_what_to_write(text: str, said: str) -> None:
    assert any(said in e and "line 2" in e for e in errors(f"{NODE}\n{text}\n")), errors(f"{NODE}\n{text}\n")


def test_another_platform_is_refused_by_the_node_and_told_by_check() -> None:
    text = "FROM --platform=linux/arm64 node:20"
    assert errors(text) == ["line 1: --platform=linux/arm64: this node builds linux/amd64"]
    (told,) = problems(plan(text), MAY)
    assert not told.error and "linux/amd64" in told.words.en
    assert not errors("FROM --platform=$BUILDPLATFORM node:20\n") and not errors("FROM --platform=linux/amd64 node:20\n")


@pytest.mark.parametrize(
    "registry",
    [
        "127.0.0.1:46099",
        "localhost",
        "localhost:5000",
        "10.1.2.3",
        "192.168.0.9:443",
        "169.254.169.254",
        "100.64.0.1",
        "[::1]:5000",
        "0x7f.0.0.1",
        "127.1:80",
        "2130706433:80",
        "registry:5000",
        "a.internal",
        "x.local:1",
        "0.0.0.0:1",
        "100.100.100.200",
    ],
)
def test_a_private_address_is_for_the_operator_to_open(registry: str) -> None:
    text = f"FROM {registry}/x:1"
    assert is_private(registry) and errors(text)
    if "[" not in registry:
        named = Allowed((REGISTRY,), OWN, private=frozenset([registry]))
        assert not errors(text, may=named)
        assert not any(p.error for p in problems(plan(text), Allowed(complete=False)))


@pytest.mark.parametrize("registry", ["", "docker.io", "ghcr.io", "1.1.1.1:5000", "registry.example.com:443", "8.8.8.8"])
def test_a_public_address_is_open(registry: str) -> None:
    assert not is_private(registry)


def test_base_images_of_the_platform_are_for_every_app_and_nothing_else_of_its_registry() -> None:
    may = Allowed((REGISTRY,), OWN, (f"{REGISTRY}/funai/base-",))
    assert not errors(f"FROM {REGISTRY}/funai/base-node:20", may=may)
    for other in ("funai/base-x/u1-app1", "funai/other:1", "base/funai/base-node:20"):
        assert errors(f"FROM {REGISTRY}/{other}", may=may)
    assert "RUNNER_BASE_IMAGES" in errors(f"FROM {REGISTRY}/funai/base-node:20")[0]


def test_a_prefix_that_an_apps_repository_could_begin_with_is_refused() -> None:
    good = [
        "r.example/funai/base-",
        "127.0.0.1:5000/base/node",
        "r.example/a/b/node:20",
        "r.example/funai/ubuntu",
        "r.example/base/",
    ]
    assert check_base_prefixes(good[:4]) == good[:4]
    for bad in (
        "r.example",
        "r.example/",
        "r.example/funai",
        "r.example/funai/",
        "r.example/funai/u",
        "r.example/funai/u1-app",
        "r.example/funai/u12-app7",
        "r.example/funai/U12-App",
        "funai/base-",
        "node",
    ):
        with pytest.raises(ValueError, match="begin"):
            check_base_prefixes([bad])


@pytest.mark.parametrize(
    "trigger",
    [
        "ADD http://127.0.0.1:7002/x /x",
        "ADD $U/x /x",
        f"COPY --from={THEIRS} / /x",
        "COPY --from=0 / /x",
        "RUN --network=host true",
        "ADD git@example.com:a/b /x",
        'ADD ["http\\u003a//x", "/x"]',
        "RUN a\nADD http://x /x",
        "COPY --fr\\om=a / /x",
        "FROM x",
        "RUN <<A",
        "RUN x \\",
        "ONBUILD RUN x",
        "RUN --mount=from=a,target=/x true",
        "# escape=`",
    ],
)
def test_triggers_of_a_base_image_are_plain_or_refused(trigger: str) -> None:
    (found,) = trigger_problems([trigger], "x")
    assert "ONBUILD of x" in found.words.en


def test_honest_triggers_pass() -> None:
    honest = [
        "COPY . /app",
        "COPY --chown=node:node package*.json ./",
        "ARG NPM_REGISTRY",
        "RUN npm ci && x --from y",
        "ADD a.tgz /x",
    ]
    assert trigger_problems(honest, "x") == [] and trigger_args(honest) == {"NPM_REGISTRY"}


@pytest.mark.parametrize(
    "text",
    [
        "RUN \\\n" * 30_000,
        "RUN \\\n\n" * 30_000,
        "RUN \\\n" + "#\n" * 60_000,
        "FROM a\n" * 100_000,
        f"{NODE}\n" + "RUN <<A\nA\n" * 9_000,
        "# escape=x" + " " * 500_000 + "y\n",
        f"{NODE}\nENV A={'a' * 60_000}\nENV B={'$A' * 400_000}\n",
        f'{NODE}\nENV A={"a" * 60_000}\nENV B="{"$A" * 400_000}"\n',
        f"{NODE}\nENV A={'a' * 60_000}\nENV B=${{X:-{'$A' * 400_000}}}\n",
        f"{NODE}\nENV A=aaaaaaaaaa\n{'ENV A=$A$A$A$A' + chr(10)}" * 6 + "ENV B=$A\n" * 500,
        f"{NODE}\nENV A={'a' * 60_000}\n" + "".join(f"ENV B{n}=$A\n" for n in range(4_900)),
        f"{NODE}\nENV A={'${B:-' * 50_000}\n",
        f"{NODE}\nENV A={'${B:-' * 50_000}x{'}' * 50_000}\n",
        f"{NODE}\nENV A={'a' * 4_000}\n" + "ENV B=${A##*a*a*a*a*b} C=${A%*b*a*a*a} D=${A//*a*a*b/x}\n" * 100,
    ],
)
def test_a_dockerfile_made_to_be_read_forever_is_read_at_once(text: str) -> None:
    began = time.process_time()
    errors(text)
    assert time.process_time() - began < 5
