"""``funai nodes``: join tokens, a node's own credentials, and a node that is removed."""

from __future__ import annotations

import pytest

from tests.service.api.platform import PASSWORD
from tests.service.cli.world import World


@pytest.fixture
def root(world: World) -> World:
    world.now(world.platform.admin("root"))
    world.ok("login", "-u", "root", "--password-stdin", input=f"{PASSWORD}\n")
    return world


def test_token_is_shown_once_with_the_command_of_the_new_machine(root: World) -> None:
    said = root.ok("nodes", "token", "--name", "n 4", "--ttl", "30m")
    assert "fdj_" in said.out and "funai node join --deploy-url http://DEPLOY:7002 --name 'n 4'" in said.out
    made = root.ok("nodes", "token", "--json").document
    assert made["token"].startswith("fdj_") and made.get("name") is None
    for ttl in ("59s", "8d", "1", "h", "-1h"):
        assert root.funai("nodes", "token", f"--ttl={ttl}").code == 2


def test_revoke_of_a_nodes_name_ends_all_of_its_credentials_and_no_others(root: World) -> None:
    for kind, name in (("node", "n1"), ("node", "n1"), ("node", "n2"), ("runner", "n1")):
        root.ok("nodes", "grant", kind, name)
    assert root.ok("nodes", "revoke", "n1").out == "2 credentials of node n1 are revoked\n"
    left = [(c["kind"], c["name"]) for c in root.ok("nodes", "credentials", "--json").document]
    assert left == [("node", "n2"), ("runner", "n1")]
    assert root.funai("nodes", "revoke", "n1").code == 2


def test_remove_says_what_is_lost_and_refuses_while_apps_are_there(root: World) -> None:
    [node] = root.ok("nodes", "list", "--json").document
    app = root.ok("apps", "create", "shop", "--json").document
    root.ok("nodes", "reassign", app["id"], str(node["id"]))
    refused = root.funai("nodes", "remove", "n1", "--force", "--yes", "--json")
    assert refused.code == 4 and refused.error["reason"] == "NODE_HAS_APPS"
    assert "--with-apps" in refused.error["message"]
    assert root.funai("nodes", "remove", "n1", "--force").code == 2, "no terminal to ask at"
    assert root.ok("nodes", "remove", "n1", "--force", "--with-apps", "--yes").out == "node n1 is removed; it had 1 apps\n"
    assert root.ok("nodes", "list", "--json").document == []
