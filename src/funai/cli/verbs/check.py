"""``check``: a folder against the build contract. ``init``: the files it lacks."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from funai.cli.exits import Exit
from funai.cli.project.target import git
from funai.cli.session import Ended, Refused, Session
from funai.cli.verb import verb

if TYPE_CHECKING:
    from funai.dockerfile.images import Allowed
    from funai.dockerfile.lint import RepoFacts

PANEL = "Build"
Folder = Annotated[Path, typer.Argument(metavar="FOLDER", help="The repository's folder.")]
MAX_TEXT = 8 * 1024 * 1024
MAX_FILES = 200_000
RULES_SECONDS = 3
MAX_PACKAGES = 200


def register(app: typer.Typer) -> None:
    verb(app, "init", panel=PANEL, server=False, epilog="funai init · funai init --port 8080 --health-path /healthz")(init)
    verb(app, "check", panel=PANEL, server=False)(check)


async def check(
    session: Session,
    folder: Folder = Path(),
    port: Annotated[
        int | None, typer.Option(min=1, max=65535, metavar="PORT", help="The port you deploy with.", show_default=False)
    ] = None,
) -> None:
    """Check a repository against the build contract before you deploy it."""
    from funai.cli.project.repocheck import findings, sha256_repository, summary

    if not folder.is_dir():
        raise Refused(f"{folder}: {os.strerror(20)}")
    tracked = await tracked_files(folder)
    facts = gather(folder, tracked, submodules=await submodules(folder))
    found = findings(replace(facts, allowed=await allowed(session, folder)), tracked, port=port)
    if await git(folder, "rev-parse", "--show-object-format") == "sha256":
        found.insert(0, sha256_repository())
    errors, warnings = summary(found)
    words = [(f, f.en if session.language == "en" else f.zh) for f in found]
    session.out.document(
        {
            "ok": errors == 0,
            "errors": errors,
            "warnings": warnings,
            "findings": [{"level": "error" if f.error else "warning", "code": f.code, "message": text} for f, text in words],
        }
    )
    for f, text in words:
        session.out.line(f"{'✗' if f.error else '!'} {text}  [{f.code}]", "red" if f.error else "yellow")
    if errors == 0:
        session.out.line(f"✓ {session.say('check_clean')}", "green")
    else:
        raise Ended(Exit.FAILED)


async def allowed(session: Session, folder: Path) -> Allowed:
    """What the platform lets this app build on, where the user is logged in to one that answers; else nothing is sure."""
    import asyncio

    from funai.cli.project.target import here
    from funai.contracts.errors import ConfigError, FunaiError
    from funai.dockerfile.images import Allowed

    try:
        if not (session.access.api_key or session.access.login):
            return Allowed(complete=False)
        guess = await here(folder)
        async with asyncio.timeout(RULES_SECONDS):
            rules = await session.api.build_rules(guess and guess.user_id, guess and guess.app_id)
    except (FunaiError, ConfigError, Refused, TimeoutError):
        return Allowed(complete=False)
    registries = (rules.registry,) if rules.registry else ()
    return Allowed(registries, rules.own, tuple(rules.base_images), complete=False)


def init(
    session: Session,
    folder: Folder = Path(),
    port: Annotated[
        int | None,
        typer.Option(min=1, max=65535, metavar="PORT", help="Write deploy/app.yaml with this port.", show_default=False),
    ] = None,
    health_path: Annotated[str | None, typer.Option(help="Write deploy/app.yaml with this path.", show_default=False)] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace files that are there.")] = False,
) -> None:
    """Write the platform's Dockerfile and .dockerignore into a Node app's repository."""
    from funai.contracts.apps.buildspec import APP_YAML, DOCKERIGNORE, choose_port, parse_app_yaml
    from funai.contracts.rules import check_health_path
    from funai.dockerfile.node.files import collect, page_folder
    from funai.dockerfile.node.plan import make_plan
    from funai.dockerfile.node.render import extra_files, render

    package, paths = folder / "package.json", _walk(folder)
    if not package.is_file() and page_folder(paths) is None:
        raise Refused(session.say("init_no_package", path=package))
    spec = parse_app_yaml(_text(folder / APP_YAML) or "")
    project = collect(lambda name: _text(folder / name), paths)
    plan = make_plan(project, port=choose_port(port, spec))
    files = {"Dockerfile": render(plan), ".dockerignore": DOCKERIGNORE, **extra_files(plan)}
    if port is not None or health_path is not None:
        lines = [f"port: {port}"] if port is not None else []
        lines += [f"healthPath: {check_health_path(health_path)}"] if health_path is not None else []
        files[APP_YAML] = "\n".join(lines) + "\n"
    written: list[str] = []
    for name, text in files.items():
        path = folder / name
        if path.exists() and not force:
            session.out.line(session.say("kept", path=path))
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
        written.append(name)
        session.out.line(session.say("wrote", path=path), "green")
    session.out.document({"written": written, "kept": [n for n in files if n not in written]})


def gather(folder: Path, tracked: set[str] | None, *, submodules: list[str]) -> RepoFacts:
    """The folder as the rules see it; sizes are of what would be in the build context."""
    from funai.cli.project.dockerignore import ignorer
    from funai.cli.project.repocheck import READ
    from funai.dockerfile.lint import RepoFacts
    from funai.dockerfile.tokens import READ as LOGINS

    paths = tracked if tracked is not None else _walk(folder)
    packages = sorted(p for p in paths if p.endswith("/package.json") and "node_modules/" not in p)[:MAX_PACKAGES]
    logins = [p for package in packages for name in LOGINS if (p := package.removesuffix("package.json") + name) in paths]
    files = {name: text for name in (*READ, *packages, *logins) if (text := _text(folder / name)) is not None}
    ignored = ignorer(files.get(".dockerignore", ""))
    sizes = {p: _size(folder / p) for p in paths if not ignored(p)}
    return RepoFacts(files=files, sizes=sizes, submodules=submodules)


async def tracked_files(folder: Path) -> set[str] | None:
    """What Git would push of this folder, None outside a repository."""
    if not await git(folder, "rev-parse", "--git-dir"):
        return None
    listing = await git(folder, "ls-files", "-z", "--cached")
    return {p for p in listing.split("\0") if p}


async def submodules(folder: Path) -> list[str]:
    listing = await git(folder, "ls-files", "-s", "-z")
    return [entry.partition("\t")[2] for entry in listing.split("\0") if entry.startswith("160000 ")]


def _walk(folder: Path) -> set[str]:
    out: set[str] = set()
    for where, folders, names in os.walk(folder):
        folders[:] = [f for f in folders if f not in (".git", "node_modules")]
        out.update(Path(where, n).relative_to(folder).as_posix() for n in names)
        if len(out) > MAX_FILES:
            break
    return out


def _text(path: Path) -> str | None:
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            return file.read(MAX_TEXT).decode("utf-8", "replace")
    except OSError:
        return None


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except OSError:
        return 0
