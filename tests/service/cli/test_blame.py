"""A hint names the option, the variable or the login that a wrong value came from."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from tests.service.cli.world import World


@contextmanager
def other_program(status: int, headers: dict[str, str] | None = None, body: bytes = b"<h1>hello</h1>") -> Iterator[str]:
    """Something that speaks HTTP and is no API of ours; its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:  # the library's name
            self.send_response(status)
            for name, value in {"Content-Length": str(len(body)), **(headers or {})}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        do_POST = do_GET  # noqa: N815

        def log_message(self, format: str, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()


def test_a_wrong_api_key_is_blamed_by_the_variables_name(ann: World) -> None:
    said = ann.funai("status", FUNAI_API_KEY="wrong")
    assert said.code == 3
    assert "FUNAI_API_KEY" in said.err.splitlines()[0]
    assert "unset FUNAI_API_KEY" in said.err.splitlines()[1]
    assert "funai login" not in said.err


def test_a_missing_login_names_the_server_that_was_asked_for(world: World) -> None:
    said = world.funai("status", "--server", world.url)
    assert said.err.splitlines()[1] == f"next: run: funai login --server {world.url}"


@pytest.mark.parametrize("status", [200, 404, 405])
def test_another_program_at_the_address_is_told_apart(world: World, status: int) -> None:
    with other_program(status) as url:
        said = world.funai("apps", "list", "--server", url)
        assert said.code == 6
        assert said.err.startswith(f"error: {url} answers (HTTP {status}), but it is no FunAI API\n")
        assert "--server" in said.err
        login = world.funai("login", "-u", "x", "--password-stdin", input="password\n", FUNAI_SERVER=url)
        assert login.code == 6
        assert "FUNAI_SERVER" in login.err


def test_a_proxy_whose_api_is_away_and_a_redirect_say_so(world: World) -> None:
    with other_program(502) as url:
        assert "a proxy in front of it can't reach it" in world.funai("status", "--server", url).err
    with other_program(301, {"Location": "https://funai.example.com/api/x"}) as url:
        assert "use --server https://funai.example.com\n" in world.funai("status", "--server", url).err


def test_an_address_with_a_path_is_told_without_it(ann: World) -> None:
    said = ann.funai("status", "--server", f"{ann.url}/api", FUNAI_API_KEY="x")
    assert said.code == 6
    assert f"try {ann.url}\n" in said.err


def test_a_proxy_is_used_and_named_when_it_fails(world: World) -> None:
    asked = world.funai(
        "status", "--server", "http://far.example", HTTP_PROXY="http://u:sesame@127.0.0.1:1", NO_PROXY="::1,10.*"
    )
    assert asked.code == 6
    assert "http://far.example can't be reached through the proxy http://127.0.0.1:1 (HTTP_PROXY)" in asked.err
    assert "sesame" not in asked.err
    with other_program(200, body=b'{"code":200,"data":{"id":7,"userName":"ann","createdAt":"2026-01-01T00:00:00Z"}}') as proxy:
        said = world.funai("whoami", "--json", "--server", "http://far.example", HTTP_PROXY=proxy, FUNAI_API_KEY="k")
    assert (said.code, said.document["id"]) == (0, 7)


def test_a_proxy_variable_that_can_t_be_used_is_a_sentence(ann: World) -> None:
    said = ann.funai("status", HTTPS_PROXY="gopher://p", no_proxy="a/b")
    assert (said.code, said.out) == (2, "")
    assert said.err.count("error: ") == 2
    assert ann.funai("status", HTTP_PROXY="http://127.0.0.1:1").code == 0, "loopback goes through no proxy"
