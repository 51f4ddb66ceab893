"""Git as people use it: old histories, shallow clones, large files, any branch name."""

from __future__ import annotations

import asyncio
import os
import subprocess
from pathlib import Path

import pytest

from tests.e2e.git.test_git_server import World, world  # noqa: F401  # pyright: ignore[reportUnusedImport]  # pytest finds the fixture by its name here

REPO = "funai/u1-app1"
WHO = {f"GIT_{role}_{what}": "t@example.com" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")}


def git(work: Path, *words: str, input: bytes | None = None) -> str:
    env = {**os.environ, **WHO, "GIT_CONFIG_GLOBAL": "/dev/null"}
    done = subprocess.run(["git", *words], cwd=work, env=env, input=input, capture_output=True, check=True)
    return done.stdout.decode().strip()


def tree(work: Path, *entries: tuple[str, str, str]) -> str:
    """A tree object as an old tool would write it: (mode, name, hex object)."""
    raw = b"".join(f"{mode} {name}".encode() + b"\0" + bytes.fromhex(sha) for mode, name, sha in entries)
    return git(work, "hash-object", "-t", "tree", "-w", "--literally", "--stdin", input=raw)


def commit(work: Path, author: str) -> str:
    """A commit object whose author line is as some tool wrote it."""
    head, files = git(work, "rev-parse", "HEAD"), git(work, "rev-parse", "HEAD^{tree}")
    text = f"tree {files}\nparent {head}\nauthor {author}\ncommitter {author}\n\nm\n"
    return git(work, "hash-object", "-t", "commit", "-w", "--literally", "--stdin", input=text.encode())


async def test_harmless_defects_of_old_tools_are_taken_and_a_dangerous_one_is_not(world: World) -> None:  # noqa: F811
    world.rules.writers[world.key("alice")] = {REPO}
    work = world.work("w")
    blob = git(work, "rev-parse", "HEAD:file")
    inner = tree(work, ("100644", "x", blob))
    padded = git(work, "commit-tree", "-p", "HEAD", "-m", "z", tree(work, ("040000", "d", inner), ("100644", "file", blob)))
    taken = {
        "zero-padded": padded,
        "timezone": commit(work, "N <n@example.com> 1300000000 +051800"),
        "no-space-email": commit(work, "N<n@example.com> 1300000000 +0500"),
        "no-space-date": commit(work, "N <n@example.com>1300000000 +0500"),
        "no-email": commit(work, "N 1300000000 +0500"),
        "zero-date": commit(work, "N <n@example.com> 01300000000 +0500"),
        "two-brackets": commit(work, "N <n@exa>mple.com> 1300000000 +0500"),
    }
    for name, sha in taken.items():
        code, out = await world.git("alice", "push", world.url(REPO), f"{sha}:refs/heads/{name}", cwd=work)
        assert code == 0, (name, out)
    for name in (".git", ".."):
        bad = git(work, "commit-tree", "-p", "HEAD", "-m", "g", tree(work, ("100644", name, blob)))
        code, out = await world.git("alice", "push", world.url(REPO), f"{bad}:refs/heads/bad", cwd=work)
        assert code != 0 and "fsck error" in out, (name, out)


async def test_a_shallow_clones_first_push_is_taken_and_can_be_cloned(world: World) -> None:  # noqa: F811
    world.rules.writers[world.key("alice")] = {REPO}
    whole = world.work("whole")
    for text in ("2", "3"):
        (whole / "file").write_text(text)
        git(whole, "commit", "-qam", text)
    shallow = world.home / "shallow"
    git(world.home, "clone", "-q", "--depth", "1", f"file://{whole}", str(shallow))
    code, out = await world.git("alice", "push", world.url(REPO), "HEAD:main", cwd=shallow)
    assert code == 0, out
    code, out = await world.git("alice", "clone", "-q", world.url(REPO), str(world.home / "copy"))
    assert code == 0 and (world.home / "copy" / "file").read_text() == "3", out
    (shallow / "file").write_text("4")
    git(shallow, "commit", "-qam", "4")
    assert (await world.git("alice", "push", world.url(REPO), "HEAD:main", cwd=shallow))[0] == 0
    assert (await world.git("alice", "push", "-f", world.url(REPO), "HEAD:main", cwd=whole))[0] == 0


@pytest.mark.parametrize("name", ["功能/支付", "feature/#12", "fix(ui)", "user's", "a,b", "v1%2", "a=b", "x&y", "b" * 224])
async def test_any_branch_name_that_git_takes_is_pushed_and_told(world: World, name: str) -> None:  # noqa: F811
    world.rules.writers[world.key("alice")] = {REPO}
    code, out = await world.git("alice", "push", world.url(REPO), f"HEAD:refs/heads/{name}", cwd=world.work("w"))
    assert code == 0, out
    assert world.rules.pushes == [(1, [name])]
    assert name in out and "--ref" in out and "部署" in out


@pytest.mark.parametrize("program", ["git-lfs-authenticate", "git-lfs-transfer"])
async def test_git_lfs_is_refused_in_one_sentence_with_a_way_out(world: World, program: str) -> None:  # noqa: F811
    world.rules.writers[world.key("alice")] = {REPO}
    argv = [
        "ssh",
        "-i",
        str(world.home / "alice"),
        "-p",
        str(world.port),
        "-o",
        "IdentitiesOnly=yes",
        "-F",
        "none",
        "-o",
        f"UserKnownHostsFile={world.home / 'known_hosts'}",
        "git@127.0.0.1",
        f"{program} {REPO}.git upload",
    ]
    done = await asyncio.to_thread(subprocess.run, argv, capture_output=True, text=True, check=False)
    assert done.returncode == 128
    assert "GIT_LFS_SKIP_PUSH=1" in done.stderr and "git lfs uninstall" in done.stderr and "不支持" in done.stderr


async def test_push_from_a_sha256_repository_is_told_what_is_supported(world: World) -> None:  # noqa: F811
    world.rules.writers[world.key("alice")] = {REPO}
    work = world.home / "sha256"
    git(world.home, "init", "-q", "-b", "main", "--object-format=sha256", str(work))
    git(work, "commit", "-q", "--allow-empty", "-m", "a")
    outs = [await world.git("alice", "push", world.url(REPO), "HEAD:main", cwd=work) for _ in range(2)]
    assert [code for code, _ in outs] == [128, 128]
    out = outs[1][1]
    assert "SHA-256" in out and "git init --object-format=sha1" in out and "不支持" in out, out
    code, out = await world.git("alice", "push", world.url(REPO), "HEAD:main", cwd=world.work("sha1"))
    assert code == 0, out
    code, out = await world.git("alice", "ls-remote", world.url(REPO), cwd=world.home)
    assert code == 0 and "SHA-256" not in out, out
