"""What the standard image of a project will be."""

from __future__ import annotations

import json
from typing import Any

import pytest

from funai.contracts.errors import BadInput
from funai.dockerfile.node.findings import notices
from funai.dockerfile.node.managers import Kind
from funai.dockerfile.node.plan import Plan, npmrc_registry
from funai.dockerfile.node.versions import choose, satisfying
from tests.pure.dockerfile.node.projects import planned, starts

LOCK9 = "lockfileVersion: '9.0'\nimporters:\n  .:\n"


LOCK_OF_A = json.dumps({"packages": {"node_modules/a": {"bin": {"a": "a.js"}}}})


def codes(plan: Plan) -> set[str]:
    return {n.code for n in notices(plan)}


@pytest.mark.parametrize(
    ("text", "majors"),
    [
        (">=22", (22, 24)),
        ("^24.1.0", (24,)),
        (">=18", (20, 22, 24)),
        ("20.x", (20,)),
        ("22", (22,)),
        ("v22.5.1", (22,)),
        ("lts/jod", (22,)),
        ("lts/*", (24, 22, 20)),
        ("18.x", ()),
        (">= 22.5", (22, 24)),
        ("20 || 22", (20, 22)),
        ("banana", None),
        (">=20 <22", (20,)),
        ("*", (20, 22, 24)),
    ],
)
def test_satisfying_prefers_the_default_then_the_oldest(text: str, majors: tuple[int, ...] | None) -> None:
    assert satisfying(text) == majors


def test_node_of_the_image_is_what_can_be_had() -> None:
    asks = starts("node s.js", engines={"node": ">=22"})
    assert planned(asks).node.image == "node:22-bookworm-slim"
    only20 = planned(asks, available=(20,))
    assert only20.node.major == 20 and not only20.node.satisfied and "NODE_VERSION" in codes(only20)
    assert planned(asks, available=(20, 24)).node.major == 24
    assert planned(starts("node s.js"), {".nvmrc": "22\n"}).node.major == 22
    assert planned(starts("node s.js"), {".tool-versions": "python 3.12.1\nnodejs 22.11.0\n"}).node.major == 22
    for text in (
        '[tools]\nnode = "22"\n',
        '[tools]\nnode = ["22.11", "24"]\n',
        '[tools]\nnode = {version = "22"}\npython = "3.12"\n',
    ):
        assert planned(starts("node s.js"), {"mise.toml": text}).node.major == 22
    assert planned(starts("node s.js"), {".mise.toml": "[tools\nnode = 22"}).node.wish is None
    runtime = {"name": "node", "version": "^24.0.0"}
    assert planned(starts("node s.js", devEngines={"runtime": runtime})).node.major == 24
    assert planned(starts("bun s.ts", devEngines={"runtime": {**runtime, "name": "bun"}})).node.wish is None
    odd = planned(starts("node s.js", engines={"node": "18.x"}))
    assert odd.node.major == 24 and "NODE_VERSION" in codes(odd)
    assert choose(None).major == 20 and choose(None, (24,)).major == 24


@pytest.mark.parametrize(
    ("package", "files", "kind", "npm_package"),
    [
        ({}, {"package-lock.json": "{}"}, Kind.NPM, None),
        ({}, {}, Kind.NPM, None),
        ({"packageManager": "npm@11.0.0"}, {"package-lock.json": "{}"}, Kind.NPM, "npm@11.0.0"),
        ({"packageManager": "pnpm@9.15.9+sha512.ab"}, {"pnpm-lock.yaml": LOCK9}, Kind.PNPM, "pnpm@9.15.9"),
        ({}, {"pnpm-lock.yaml": "lockfileVersion: '6.0'\n"}, Kind.PNPM, "pnpm@8"),
        ({}, {"yarn.lock": "# yarn lockfile v1\n"}, Kind.YARN, "yarn@1.22.22"),
        ({}, {"yarn.lock": "__metadata:\n  version: 8\n"}, Kind.BERRY, "@yarnpkg/cli-dist@4"),
        ({"packageManager": "yarn@4.5.0"}, {"yarn.lock": ""}, Kind.BERRY, "@yarnpkg/cli-dist@4.5.0"),
        ({}, {"bun.lock": "{}"}, Kind.BUN, "bun@1"),
        ({"packageManager": "pnpm@9.0.0"}, {}, Kind.PNPM, "pnpm@9.0.0"),
        ({}, {"package-lock.json": "{}", "pnpm-lock.yaml": LOCK9}, Kind.PNPM, "pnpm@9"),
        ({"packageManager": "npm@10.2.0"}, {"package-lock.json": "{}", "pnpm-lock.yaml": LOCK9}, Kind.NPM, "npm@10.2.0"),
        ({"packageManager": "pnpm@9; rm -rf /"}, {}, Kind.PNPM, "pnpm@9"),
    ],
)
def test_manager_is_told_by_lock_file_and_package(
    package: dict[str, Any], files: dict[str, str], kind: Kind, npm_package: str | None
) -> None:
    manager = planned(starts("node s.js", **package), files).manager
    assert (manager.kind, manager.package) == (kind, npm_package)


def test_a_lock_file_that_locks_nothing_is_said() -> None:
    wants = starts("node s.js", dependencies={"a": "^1"})
    plan = planned(wants, {"pnpm-lock.yaml": "lockfileVersion: '9.0'\n"})
    assert not plan.manager.frozen and "NO_LOCKFILE" in codes(plan)
    assert planned(wants, {"pnpm-lock.yaml": LOCK9}).manager.frozen
    assert "NO_LOCKFILE" in codes(planned(wants)) and "NO_LOCKFILE" not in codes(planned(wants, {"package-lock.json": "{}"}))


@pytest.mark.parametrize(
    ("script", "dev", "files"),
    [
        ("nodemon s.js", {"nodemon": "3"}, {}),
        ("tsx s.ts", {"tsx": "4"}, {}),
        ("node -r ts-node/register s.ts", {"ts-node": "10"}, {}),
        ("node --import tsx s.ts", {"tsx": "4"}, {}),
        ("next start", {"typescript": "5"}, {"next.config.ts": "export default {}"}),
        ("next start", {"@next/bundle-analyzer": "15"}, {"next.config.mjs": "import a from '@next/bundle-analyzer'"}),
        ("npm run serve", {"serve": "14"}, {}),
        ("unheard-of s.js", {"x": "1"}, {}),
        ("cross-env A=1 tsx s.ts", {"cross-env": "7", "tsx": "4"}, {}),
    ],
)
def test_development_packages_stay_where_start_needs_them(script: str, dev: dict[str, str], files: dict[str, str]) -> None:
    package = starts(script, scripts={"build": "x", "serve": "serve -s dist"}, dependencies={"next": "15"}, devDependencies=dev)
    plan = planned(package, files)
    assert not plan.prune and "DEV_DEPENDENCIES_KEPT" in codes(plan)


@pytest.mark.parametrize(
    ("script", "files"),
    [("node s.js", {}), ("next start", {"next.config.js": "module.exports = {}"}), ("cross-env A=1 node s.js", {})],
)
def test_development_packages_go_where_start_does_not_need_them(script: str, files: dict[str, str]) -> None:
    dev = {"typescript": "5", "cross-env": "7"}
    plan = planned(starts(script, dependencies={"next": "15"}, devDependencies=dev), files)
    assert plan.prune and not plan.launcher


def test_programs_of_npms_lock_file_are_known_by_their_packages() -> None:
    lock = {"packages": {"node_modules/@x/cli": {"bin": {"xx": "a.js"}, "dev": True}}}
    package = starts("xx serve", devDependencies={"@x/cli": "1"})
    need = planned(package, {"package-lock.json": json.dumps(lock)}).keep_dev
    assert need and need.package == "@x/cli"


@pytest.mark.parametrize(
    ("package", "files"),
    [
        ({"scripts": {"build": "vite build"}, "devDependencies": {"vite": "6"}}, {}),
        (starts("vite", scripts={"build": "vite build"}, devDependencies={"vite": "6"}), {}),
        (starts("vite preview", scripts={"build": "vite build"}, devDependencies={"vite": "6"}), {}),
        (starts("react-scripts start", scripts={"build": "react-scripts build"}, dependencies={"react-scripts": "5"}), {}),
        (starts("astro dev", scripts={"build": "astro build"}, dependencies={"astro": "5"}), {}),
        (
            starts("next start", scripts={"build": "next build"}, dependencies={"next": "15"}),
            {"next.config.js": "module.exports = { output: 'export' }"},
        ),
    ],
)
def test_a_site_without_a_server_is_served(package: dict[str, Any], files: dict[str, str]) -> None:
    plan = planned(package, files)
    assert plan.site and plan.start is None and not plan.prune and "STATIC_SITE" in codes(plan)


@pytest.mark.parametrize(
    "package",
    [
        starts("node s.js", scripts={"build": "vite build"}, devDependencies={"vite": "6"}),
        starts("astro preview", scripts={"build": "astro build"}, dependencies={"astro": "5", "@astrojs/node": "9"}),
        starts("vite"),
    ],
)
def test_an_app_with_a_server_is_started(package: dict[str, Any]) -> None:
    assert planned(package).site is None


def test_an_output_folder_that_the_configuration_names_comes_first() -> None:
    package = {"scripts": {"build": "vite build"}, "devDependencies": {"vite": "6"}}
    site = planned(package, {"vite.config.ts": "build: { outDir: './www' }"}).site
    assert site and site.folders[0] == "www"
    site = planned(package, {"vite.config.ts": "build: { outDir: '../../etc' }"}).site
    assert site and site.folders[0] == "dist"


def test_nest_starts_what_its_build_made() -> None:
    scripts = {"build": "nest build", "start:prod": "node dist/main"}
    plan = planned(starts("nest start", scripts=scripts, devDependencies={"@nestjs/cli": "11"}))
    assert plan.start and plan.start.shell() == "exec node dist/main" and plan.prune


def test_nothing_to_start_is_refused_and_server_js_is_npms_default() -> None:
    with pytest.raises(BadInput) as caught:
        planned({"scripts": {}})
    assert caught.value.reason == "NPM_START_MISSING"
    plan = planned({}, {"server.js": ""})
    assert plan.start and plan.start.shell() == "exec node server.js"


@pytest.mark.parametrize(
    ("package", "files", "command"),
    [
        ({"dependencies": {"next": "15"}}, {}, "exec next start"),
        ({"dependencies": {"nuxt": "4"}}, {}, "exec node .output/server/index.mjs"),
        ({"devDependencies": {"@sveltejs/adapter-node": "5", "vite": "7"}}, {}, "exec node build"),
        (
            {"dependencies": {"astro": "5", "@astrojs/node": "9"}},
            {"astro.config.mjs": "adapter: node()"},
            "exec node ./dist/server/entry.mjs",
        ),
        ({"dependencies": {"@react-router/serve": "7"}}, {}, "exec react-router-serve ./build/server/index.js"),
        ({"main": "./src/index.js", "dependencies": {"express": "5"}}, {"src/index.js": ""}, "exec node src/index.js"),
    ],
)
def test_a_project_without_a_start_script_runs_what_its_framework_built_or_its_main_file(
    package: dict[str, Any], files: dict[str, str], command: str
) -> None:
    plan = planned({**package, "scripts": {"build": "x"}}, files)
    assert plan.start and plan.start.shell() == command and plan.site is None
    assert "START_CHOSEN" in [n.code for n in notices(plan)]


@pytest.mark.parametrize(
    ("package", "files", "folder"),
    [
        ({"dependencies": {"nuxt": "4"}, "scripts": {"build": "nuxt generate"}}, {}, ".output/public"),
        ({"dependencies": {"next": "15"}, "scripts": {"build": "b"}}, {"next.config.js": "output: 'export'"}, "out"),
        (
            {"dependencies": {"astro": "5", "@astrojs/node": "9"}, "scripts": {"build": "b"}},
            {"astro.config.mjs": "output: 'static'"},
            "dist",
        ),
        ({"main": "index.js", "devDependencies": {"vite": "7"}, "scripts": {"build": "b"}}, {"index.js": ""}, "dist"),
    ],
)
def test_a_site_without_a_start_script_stays_a_site(package: dict[str, Any], files: dict[str, str], folder: str) -> None:
    plan = planned(package, files)
    assert plan.start is None and plan.site and plan.site.folders[0] == folder


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (".npmrc", "\ufeff//r.example.com/:_authToken = ghp_abc\r\n"),
        (".npmrc", '//r.example.com/:_password="cGFzcw=="\n'),
        (".npmrc", "registry=https://user:pass@r.example.com/\n"),
        (".yarnrc", '"//r.example.com/:_authToken" "npm_abc"\n'),
        (".yarnrc.yml", 'npmScopes:\n  my:\n    npmAuthToken: "npm_abc"\n'),
        ("bunfig.toml", '[install.scopes]\nmy = { token = "tok", url = "https://r.example.com/" }\n'),
        ("packages/a/.npmrc", "_auth=dXNlcjpwYXNz\n"),
    ],
)
def test_notices_a_registrys_login_in_plain_text_is_a_secret(path: str, text: str) -> None:
    package = starts("node s.js") | {"workspaces": ["packages/*"]}
    plan = planned(package, {path: text, "packages/a/package.json": '{"name": "a"}'})
    said = [n.words.en for n in notices(plan) if n.code == "SECRET_COMMITTED"]
    assert len(said) == 1
    assert said[0].startswith(f"{path} ")


@pytest.mark.parametrize(
    ("path", "text"),
    [
        (".npmrc", '//r.example.com/:_authToken="${NPM_TOKEN-}"\n#_auth=zz\n; //x/:_authToken=old\n'),
        (".npmrc", "registry=https://${USER}:${PASSWORD}@r.example.com/\n"),
        (".yarnrc.yml", 'npmAuthToken: "${NPM_TOKEN:-}"\n'),
        ("bunfig.toml", '[install]\n# token = "old"\nregistry = { url = "https://r.example.com/", token = "$NPM_TOKEN" }\n'),
    ],
)
def test_notices_a_variable_in_a_registrys_login_is_no_secret(path: str, text: str) -> None:
    assert "SECRET_COMMITTED" not in codes(planned(starts("node s.js"), {path: text}))


@pytest.mark.parametrize(("text", "major"), [("# ours\n22 # x\n", 22), ("\ufefflts/-1\r\n", 22), ("lts/-9", 24)])
def test_node_wish_reads_a_version_file_as_nvm_does(text: str, major: int) -> None:
    node = planned(starts("node s.js"), {".nvmrc": text}).node
    assert node.wish is not None
    assert node.major == major


def test_secrets_and_files_left_out_are_said() -> None:
    token = {".npmrc": "//npm.example.org/:_authToken=npm_abc\n"}
    assert "SECRET_COMMITTED" in codes(planned(starts("node s.js"), token))
    assert "SECRET_COMMITTED" not in codes(planned(starts("node s.js"), {".npmrc": "//x/:_authToken=${NPM_TOKEN}\n"}))
    assert "ENV_FILE_LEFT_OUT" in codes(planned(starts("node s.js"), {".env": "A=1"}))
    assert "ENV_FILE_LEFT_OUT" not in codes(planned(starts("node s.js"), {".env.production": "A=1"}))


def test_a_registry_of_the_projects_own_is_its_own() -> None:
    assert npmrc_registry("registry=http://127.0.0.1:9/\n") == "http://127.0.0.1:9/"
    assert npmrc_registry("registry=https://registry.npmjs.org/\n") is None
    assert npmrc_registry("@x:registry=https://npm.example.org/\n") is None


@pytest.mark.parametrize(
    ("package", "files", "missing"),
    [
        (starts("pm2-runtime s.js"), {}, True),
        (starts("cross-env A=1 nodemon s.js", dependencies={"a": "1"}), {"package-lock.json": LOCK_OF_A}, True),
        (starts("pm2-runtime s.js", dependencies={"pm2": "5"}), {}, False),
        (starts("nodemon s.js", devDependencies={"nodemon": "3"}), {}, False),
        (starts("nodemon s.js", dependencies={"brings-nodemon": "1"}), {}, False),
        (starts("node s.js && python3 x"), {}, False),
    ],
)
def test_notices_name_the_package_of_a_start_program_that_nothing_brings(
    package: dict[str, Any], files: dict[str, str], missing: bool
) -> None:
    codes = [n.code for n in notices(planned(package, files))]
    assert ("START_PROGRAM_MISSING" in codes) is missing


def test_notices_name_a_file_to_start_that_nothing_brings() -> None:
    missing = "START_FILE_MISSING"
    assert missing in codes(planned(starts("node dist/index.js")))
    assert missing not in codes(planned(starts("node dist/index.js", scripts={"build": "tsc"})))
    assert missing not in codes(planned(starts("node dist/index.js", scripts={"postinstall": "tsc"})))
    assert missing not in codes(planned(starts("node ./dist"), {"dist/index.js": ""}))
    assert missing not in codes(planned(starts("node $MAIN")))


def test_start_of_a_procfile_counts_where_package_json_has_none() -> None:
    procfile = {"Procfile": "worker: node w.js\nweb: node src/app.js --port $PORT\n", "server.js": ""}
    plan = planned({"name": "x"}, procfile)
    assert plan.start and plan.start.plain and plan.start.shell() == "exec node src/app.js --port $PORT"
    own = planned(starts("node s.js"), procfile)
    assert own.start and own.start.script == "node s.js"


@pytest.mark.parametrize("start", ['concurrently "npm run server" "npm run client"', "concurrently npm:server npm:client"])
def test_notices_name_a_development_server_that_starts_beside_the_app(start: str) -> None:
    scripts = {"server": "node server.js", "client": "vite --port 5173"}
    assert "START_IS_DEV" in codes(planned(starts(start, scripts=scripts)))
    assert "START_IS_DEV" not in codes(planned(starts(start, scripts={**scripts, "client": "node worker.js"})))
    assert "START_IS_DEV" not in codes(planned(starts(start, scripts={**scripts, "client": "vite build --watch"})))
