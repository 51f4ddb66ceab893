"""A Dockerfile builds on public images, its own stages and its own app's images, on nobody else's."""

from __future__ import annotations

import pytest

from funai.contracts.basecheck import fetched_urls, foreign_images

REGISTRY = "127.0.0.1:5000"
OWN = f"{REGISTRY}/funai/u2-app2"
THEIRS = f"{REGISTRY}/funai/u1-app1"


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
        f"ARG A={THEIRS}\nFROM node:20\nARG A=node:20\nFROM $A",
        f"FROM ${{NONE:-{THEIRS}}}",
        'FROM 127.0.0.1:50"00"/fun\\ai/u1-app1',
        f"FROM node:20\nCOPY --from={THEIRS} / /x",
        f"FROM node:20\nENV A={THEIRS}\nCOPY --from=$A / /x",
        f"FROM node:20\nRUN --mount=type=bind,from={THEIRS},target=/x ls /x",
        "FROM 186f1c97135e",
        "FROM node:20\nCOPY --from=7 / /x",
        "FROM containers-storage:abc",
        "FROM dir:/etc",
        "FROM ${A#b}",
    ],
)
def test_other_tenants_images_are_seen_through_every_disguise(text: str) -> None:
    assert foreign_images(text, REGISTRY, OWN)


@pytest.mark.parametrize(
    "text",
    [
        "FROM node:20-bookworm-slim AS build\nFROM scratch\nCOPY --from=build /a /a\nCOPY --from=0 /a /a",
        "ARG V=20\nFROM node:${V}-slim\nENV A=1 B=2",
        f"FROM {OWN}:latest",
        f"FROM {OWN}@sha256:{'0' * 64}",
        "FROM docker:24\nFROM mirror.example.com:443/library/node:20",
        "FROM nginx:1.27 AS Web\nFROM web\nRUN echo FROM=1",
        "FROM node:20\nRUN --mount=type=cache,target=/root/.npm npm ci",
    ],
)
def test_what_apps_really_build_on_is_allowed(text: str) -> None:
    assert foreign_images(text, REGISTRY, OWN) == []


@pytest.mark.parametrize(
    "line",
    [
        "ADD http://127.0.0.1:7002/x /x",
        'add ["https://example.com/x", "/x"]',
        "ADD --chmod=644 http://x/ /x",
        "ONBUILD ADD http://x/ /x",
        "ARG A=http\nADD ${A}:${B:-//x} /x",
        "ADD git@example.com:a/b.git /x",
    ],
)
def test_no_address_is_fetched_by_the_engine(line: str) -> None:
    assert fetched_urls(f"FROM node:20\n{line}")


def test_add_of_files_and_downloads_in_a_step_stay() -> None:
    assert fetched_urls("FROM node:20\nADD a.tar.gz $HOME/x /y\nRUN curl -O https://example.com/x") == []
