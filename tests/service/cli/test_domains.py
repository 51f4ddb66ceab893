"""``funai domains``: how a domain is, and what to do about it."""

from __future__ import annotations

from tests.service.cli.world import World

NAME = "shop.example.com"


def test_a_domain_is_added_listed_checked_and_removed(ann: World) -> None:
    shop = ann.create_app("shop")
    assert ann.ok("domains", "list", shop).out == "no domains yet: funai domains add shop.example.com\n"
    said = ann.funai("domains", "add", shop, NAME.upper(), "--json")
    assert (said.code, said.document["name"], said.document["state"]) == (1, NAME, "PENDING")
    assert said.document["message"].startswith("the app was never deployed")
    assert f"{NAME}: the app was never deployed" in ann.ok("domains", "list", "--app", "shop").out
    assert ann.ok("domains", "add", "--app", shop, NAME, "--no-wait", FUNAI_LANG="zh").out.startswith(f"域名 {NAME} 已加到应用")
    assert ann.funai("domains", "check", shop, "other.example.com").code == 5
    refused = ann.funai("domains", "add", shop, "192.0.2.7", "--json")
    assert (refused.code, refused.error["reason"]) == (2, "DOMAIN_INVALID")
    assert ann.funai("domains", "add", shop, "a", "b").code == 2
    ann.ok("domains", "remove", shop, NAME)
    assert ann.ok("domains", "list", shop, "--json").document == []
