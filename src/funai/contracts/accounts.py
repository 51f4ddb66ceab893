"""Users, keys and apps on the API's wire."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, ConfigDict, Field

from funai.contracts import rules
from funai.contracts.states import AppStatus, RepoStatus
from funai.contracts.wire import EntityId, Instant, Wire


class Credentials(Wire):
    user_name: str = Field(max_length=64)
    password: str = Field(max_length=256)


class User(Wire):
    id: int
    user_name: str
    admin: bool = False
    disabled: bool = False
    """(+) Whether an operator shut the account out."""
    git_account: str | None = None
    """(+) The person's own account at the Gitea, as an operator linked it."""
    created_at: Instant


class SshKey(Wire):
    id: int
    title: str
    fingerprint: str
    created_at: Instant


class AddSshKey(Wire):
    title: str = Field(default="", max_length=100)
    public_key: str = Field(max_length=16_000)


_SHORT_TEXT = r"^[^\x00-\x1f\x7f]*$"


class Serving(Wire):
    """(+) What answers an app's users now, whatever became of its latest deploy. What isn't known is None."""

    release: int | None = None
    address: str | None = None
    since: Instant | None = None


class App(Wire):
    """``workspace…`` fields of an app that was imported are beside these, by their names in the installation of before."""

    model_config = ConfigDict(extra="allow")

    id: int
    user_id: int
    app_name: str
    app_status: AppStatus
    description: str | None = None
    app_description: str | None = None
    """``description`` by the name that older callers read and send."""
    app_type: str | None = None
    app_key: str | None = None
    repo_ssh_url: str | None = None
    repo_status: RepoStatus | None = None
    """(+) Whether the repository is made; None where the API makes none."""
    container_port: int | None = None
    last_job_id: int | None = None
    last_deploy_error: str | None = None
    deploy_access_url: str | None = None
    access_url: str | None = None
    alias_url: str | None = None
    """(+) The app's own address with a readable name, ``{name}-{user}``; left out where it has none."""
    serving: Serving | None = None
    """(+) What serves; None when nothing does. ``appStatus`` tells what happened last."""
    crash_looping: bool | None = None
    """(+) Whether what serves keeps ending, as its node last reported; left out where nothing serves or it isn't known."""
    runtime_message: str | None = None
    """(+) For people: that it keeps ending, and where to look."""
    created_at: Instant
    updated_at: Instant


class StoppedApp(App):
    """An app that was taken off line, with where it ran, as older callers read it."""

    app_id: int
    node_id: int | None = None
    agent_base_url: str | None = None
    runtime: dict[str, object] | None = None


class AppRuntime(Wire):
    """(+) How an app's container is, by its node's own word at this moment. What isn't known is None."""

    app_id: int
    exists: bool
    running: bool
    crash_looping: bool = False
    message: str | None = None
    """For people, when it keeps ending: how it ended last, and where to look."""
    restart_count: int | None = None
    last_exit_code: int | None = None
    last_exit_at: Instant | None = None
    started_at: Instant | None = None
    image: str | None = None
    port: int | None = None
    node_name: str | None = None


class _AppFacts(Wire):
    app_name: str | None = Field(default=None, max_length=200)
    description: str | None = Field(default=None, max_length=2_000)
    app_description: str | None = Field(default=None, max_length=2_000)
    """``description``, by the name that older callers send."""
    app_type: str | None = Field(default=None, max_length=64, pattern=_SHORT_TEXT)
    app_key: str | None = Field(default=None, max_length=128, pattern=_SHORT_TEXT)

    @property
    def described(self) -> str | None:
        return self.description if self.description is not None else self.app_description


class CreateApp(_AppFacts):
    pass


class UpdateApp(_AppFacts):
    id: int | None = None
    app_id: int | None = None
    user_id: EntityId | None = None
    """Whose; what the query says wins."""


class CreateDeploy(Wire):
    """The optional body of ``POST /deploy/job/create``. What is given wins over the platform's defaults."""

    image: str | None = None
    container_port: Annotated[int | None, BeforeValidator(rules.no_bool)] = None
    git_ref: str | None = None
    base_path: str | None = None
    image_tag: str | None = None
    dockerfile_path: str | None = None
    build_context: str | None = None
    health_path: str | None = None
    repo_ssh_url: str | None = None
    acr_registry: str | None = None
    acr_namespace: str | None = None
    no_cache: bool | None = None
    """(+) True: build without anything that earlier builds left, and empty the app's build caches."""


class GitAccessQuestion(Wire):
    """The Git server asks the API: may the holder of this key do this to this repository?"""

    public_key: str = Field(max_length=16_000)
    """OpenSSH form, ``<type> <base64>``."""
    repo: str = Field(max_length=300)
    """``owner/name`` without ``.git``."""
    write: bool


class GitAccess(Wire):
    allowed: bool
    user_id: int | None = None
    app_id: int | None = None
    message: str = ""
    """For the person at the terminal; says what to do next."""


class GitPushed(Wire):
    """The Git server tells the API that it accepted a push to an app's repository."""

    user_id: EntityId
    app_id: EntityId
    branches: list[str] = Field(default_factory=list[str], max_length=1_000)


class GitDiscards(Wire):
    """The Git server asks which repositories of deleted apps to remove, and names those it removed."""

    done: list[str] = Field(default_factory=list[str], max_length=1_000)


class GitRepositories(Wire):
    """The Git server tells which repositories it has, ``owner/name``."""

    repos: list[Annotated[str, Field(max_length=200)]] = Field(max_length=20_000)


class ChangePassword(Wire):
    old_password: str = Field(max_length=256)
    new_password: str = Field(max_length=256)


class ApiKey(Wire):
    """Shown this once; only its hash is kept."""

    api_key: str


class EnvVar(Wire):
    """One variable of an app; its value never leaves the platform again."""

    name: str
    value: str = "******"
    secret: bool = False
    """(+) Its owner marked it: masked in logs whatever it looks like."""
    build: bool | None = None
    """(+) True: builds get it too."""


class CleanupStep(Wire):
    step: str
    ok: bool
    detail: str | None = None


class AppDeleted(Wire):
    """What became of a deletion. ``complete`` false: the platform goes on trying what is left."""

    app_id: int
    complete: bool
    steps: list[CleanupStep] = Field(default_factory=list[CleanupStep])


SetEnv = dict[str, str]
"""How many an app may have is the API's setting; the body's size bounds what one call may carry."""
