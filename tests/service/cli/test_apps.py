from __future__ import annotations

import subprocess

from tests.service.cli.world import World


def test_no_apps_yet_says_how_to_make_one(ann: World) -> None:
    assert ann.ok("apps", "list").out == "no apps yet: funai apps create NAME\n"
    assert ann.ok("apps", "list", "--json").document == []
    assert ann.ok("status").out == "no apps yet: funai apps create NAME\n"


def test_an_app_is_made_shown_and_deleted(ann: World) -> None:
    made = ann.ok("apps", "create", "shop")
    assert "git push funai HEAD:main" in made.out
    listed = ann.ok("apps", "list").out
    assert listed.splitlines()[0].split() == ["ID", "NAME", "STATUS", "URL"]
    assert "shop" in listed
    app_id = ann.ok("apps", "info", "shop", "--json").document["id"]
    assert ann.ok("apps", "info", app_id).out.startswith("name")
    refused = ann.funai("apps", "delete", "shop")
    assert refused.code == 2
    assert "--yes" in refused.err
    assert ann.ok("apps", "delete", app_id, "--yes", "--json").document["complete"] is True
    assert ann.funai("apps", "info", app_id).code == 5


def test_an_app_of_somebody_else_is_not_there(ann: World) -> None:
    app_id = ann.create_app("shop")
    ann.register(f"eve-{ann.user}")
    for words in (("apps", "info", app_id), ("deploy", app_id), ("logs", app_id), ("apps", "delete", app_id, "--yes")):
        said = ann.funai(*words, "--json")
        assert (said.code, said.error["reason"]) == (5, "APP_NOT_FOUND")


def test_without_an_app_the_folder_is_asked(ann: World) -> None:
    said = ann.funai("apps", "info")
    assert said.code == 2
    assert "which app?" in said.err
    app_id = ann.create_app("shop")
    ann.ok("apps", "link", app_id)
    assert ann.ok("apps", "info", "--json").document["id"] == app_id


def test_a_git_remote_tells_the_app(ann: World) -> None:
    subprocess.run(["git", "init", "-q", "."], check=True)
    app_id = int(ann.ok("apps", "create", "shop", "--link", "--json").document["id"])
    remote = subprocess.run(["git", "config", "remote.funai.url"], check=True, capture_output=True, text=True).stdout
    assert remote.strip().endswith(f"-app{app_id}.git")
    (ann.folder / "work/.funai").unlink()
    assert ann.ok("apps", "info", "--json").document["id"] == app_id


def test_names_that_are_taken_and_quotas_are_refused(ann: World) -> None:
    ann.create_app("shop")
    taken = ann.funai("apps", "create", "shop", "--json")
    assert (taken.code, taken.error["reason"]) == (4, "APP_NAME_TAKEN")
    assert ann.funai("apps", "info", "no-such-app").code == 5


def test_variables_are_set_listed_masked_and_unset(ann: World) -> None:
    app_id = ann.create_app("shop")
    assert ann.ok("env", "list", app_id).out == "no variables yet: funai env set NAME=VALUE\n"
    said = ann.ok("env", "set", "--app", app_id, "API_URL=https://x/?a=b", "TOKEN=sesame")
    assert said.out == f"saved; in force from the next deploy: funai deploy {app_id}\n"
    listed = ann.ok("env", "list", app_id)
    assert "API_URL" in listed.out
    assert "sesame" not in listed.out
    ann.ok("env", "set", "--app", app_id, "--file", "-", input='# mine\nexport THIRD="3"\n')
    ann.ok("env", "unset", "--app", app_id, "TOKEN", "API_URL")
    assert [v["name"] for v in ann.ok("env", "list", app_id, "--json").document] == ["THIRD"]


def test_a_secret_typed_without_its_name_is_not_shown(ann: World) -> None:
    said = ann.funai("env", "set", "sesame-open-the-door")
    assert said.code == 2
    assert "open-the-door" not in said.err
    app_id = ann.create_app("shop")
    assert ann.funai("env", "set", "--app", app_id, "PORT=1").code == 2
