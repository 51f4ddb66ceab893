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


def test_every_fault_of_a_file_and_of_the_words_is_told_at_once(ann: World) -> None:
    ann.create_app("shop")
    file = ann.folder / "work" / "a.env"
    file.write_text("A=1\nPORT=3000\na.b=x\nKEY: sesame\nB=2\nmy-key=9\n")
    said = ann.funai("env", "set", "shop", "--file", file, "1X=2", "D=3")
    assert said.code == 2
    lines = said.err.splitlines()
    assert [line.partition(",")[2].partition(":")[0].split()[:2] for line in lines[1:5]] == [
        ["line", "2"],
        ["line", "3"],
        ["line", "4"],
        ["line", "6"],
    ]
    assert "--port" in lines[1] and "PORT" not in "".join(lines[2:])
    assert "1X" in lines[5]
    assert "sesame" not in said.err
    assert ann.ok("env", "list", "shop", "--json").document == []
    file.write_bytes("A=1\n".encode("utf-16"))
    ann.ok("env", "set", "shop", "--file", file)
    file.write_bytes(b"A=1\nB=\xff\n")
    assert "line 2: not UTF-8" in ann.funai("env", "set", "shop", "--file", file).err


def test_too_many_variables_are_told_with_the_one_limit(ann: World) -> None:
    ann.create_app("shop")
    said = {n: ann.funai("env", "set", "shop", *(f"V{i}=1" for i in range(n))) for n in (101, 300)}
    assert {s.code for s in said.values()} == {2}
    assert said[101].err == said[300].err
    assert "100" in said[300].err


def test_the_app_is_named_first_in_every_verb_and_by_option_too(ann: World) -> None:
    shop, other = ann.create_app("shop"), ann.create_app("other")
    ann.ok("env", "set", "shop", "A=1", "B=2", "other=3")
    assert len(ann.ok("env", "list", "--app", shop, "--json").document) == 3
    ann.ok("env", "unset", "shop", "A")
    ann.ok("apps", "link", shop)
    ann.ok("env", "set", "other", "C=1", "D=1")
    ann.ok("env", "unset", "other", "D")
    assert [v["name"] for v in ann.ok("env", "list", "other", "--json").document] == ["C", "D"], (
        "a variable of this folder's app"
    )
    ann.ok("env", "unset", other, "D")
    ann.ok("env", "unset", "B", "no-app-and-no-variable")
    assert ann.ok("env", "list", "--json").document == []
    assert ann.ok("status", "-a", "other", "--json").document["app"]["id"] == other
    twice = ann.funai("apps", "info", "shop", "--app", "other")
    assert (twice.code, "given twice" in twice.err) == (2, True)


def test_a_job_is_cancelled_by_the_apps_name_or_its_own_number(ann: World) -> None:
    ann.create_app("shop")
    for named in (["shop"], ["--app", "shop"], None):
        job = ann.ok("deploy", "shop", "--detach", "--json").document["id"]
        assert ann.ok("cancel", *(named or [job]), "--json").document["id"] == job
    assert ann.funai("cancel", "shop").code == 5
