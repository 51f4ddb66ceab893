"""What pages show of jobs, apps and releases, computed from the API's answers. Pure; the moment is an argument."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from funai.contracts.accounts import App
from funai.contracts.jobs import Job, ReleaseComparison
from funai.contracts.states import AppStatus, JobStatus, Phase
from funai.i18n.console import text

PHASES = ("QUEUED", *(p.value for p in Phase))
MINUTE, HOUR, DAY = 60, 3600, 86_400
KINDS = {
    AppStatus.CREATED: "idle",
    AppStatus.UPLOADED: "idle",
    AppStatus.DEPLOYING: "busy",
    AppStatus.READY: "good",
    AppStatus.FAILED: "bad",
    AppStatus.DISABLED: "off",
}
JOB_KINDS = {
    JobStatus.PENDING: "idle",
    JobStatus.RUNNING: "busy",
    JobStatus.SUCCEEDED: "good",
    JobStatus.FAILED: "bad",
    JobStatus.CANCELLED: "off",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One phase of a deploy. ``state``: waiting, running, done, skipped or failed. Times in milliseconds."""

    name: str
    state: str
    ms: int | None = None
    before_ms: int | None = None
    """The same phase of the deploy that is compared with."""
    note: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """One row of the comparison of two releases. ``name`` is a key of the catalogue."""

    name: str
    old: str
    new: str

    @property
    def changed(self) -> bool:
        return self.old != self.new


def app_badges(app: App) -> list[tuple[str, str]]:
    """Badges as class and key of the catalogue: first what serves, then what happened last where that is something else."""
    last = (KINDS[app.app_status], f"state_{app.app_status.value}")
    if app.app_status not in (AppStatus.DEPLOYING, AppStatus.FAILED):
        return [("bad", "crash_looping")] if app.crash_looping else [last]
    if app.crash_looping:
        return [("bad", "crash_looping"), last]
    now = AppStatus.READY if app.serving else AppStatus.UPLOADED
    return [(KINDS[now] if app.serving else "off", f"state_{now.value}"), last]


def address(app: App) -> str | None:
    """Where the app answers, also while an earlier release serves."""
    return app.access_url or (app.serving.address if app.serving else None)


def startable(app: App, history: list[Job]) -> bool:
    """Whether a start can succeed: nothing of it runs, and a deploy succeeded once."""
    if app.app_status not in (AppStatus.UPLOADED, AppStatus.FAILED) or app.serving:
        return False
    return any(job.status is JobStatus.SUCCEEDED for job in history)


def job_kind(job: Job) -> str:
    return JOB_KINDS[job.status]


def steps(job: Job, before: Job | None = None) -> list[Step]:
    """The job's phases in order; ``before`` is the deploy whose times stand beside them."""
    took = _times(job)
    earlier = _times(before) if before else {}
    current = _current(job)
    return [
        Step(name, _state(job, name, current, took), took.get(name), earlier.get(name), _note(job, name, current))
        for name in PHASES
    ]


def _times(job: Job) -> dict[str, int]:
    """Milliseconds by phase; QUEUED from the job's own instants."""
    phases = (job.result.phases_ms if job.result else None) or {}
    took = {name.upper(): ms for name, ms in phases.items() if name.upper() in PHASES}
    if job.started_at:
        took["QUEUED"] = max(0, int((job.started_at - job.created_at).total_seconds() * 1000))
    return took


def _current(job: Job) -> str:
    """The phase under way, or the last one that the job was seen in."""
    seen = str(job.payload.get("phase") or "")
    if job.status is JobStatus.PENDING:
        return "QUEUED"
    return seen if seen in PHASES else "QUEUED"


def _state(job: Job, name: str, current: str, took: dict[str, int]) -> str:
    place, now = PHASES.index(name), PHASES.index(current)
    if job.status is JobStatus.SUCCEEDED:
        return "done" if name in took or name == "QUEUED" else "skipped"
    if place < now:
        return "done"
    if place > now:
        return "skipped" if job.status.final else "waiting"
    if job.status is JobStatus.RUNNING and current == "QUEUED":
        return "done"
    return "failed" if job.status is JobStatus.FAILED else "skipped" if job.status.final else "running"


def _note(job: Job, name: str, current: str) -> str:
    if name != current or job.status.final or name == "QUEUED":
        return ""
    return str(job.payload.get("phaseMessage") or "")[:200]


def total_ms(job: Job) -> int | None:
    """From creation to the end; None while it runs."""
    if not job.finished_at:
        return None
    return int((job.finished_at - job.created_at).total_seconds() * 1000)


def previous_success(job: Job, history: list[Job]) -> Job | None:
    """The newest successful deploy older than ``job``. ``history`` is newest first."""
    return next((j for j in history if j.id < job.id and j.status is JobStatus.SUCCEEDED), None)


def again(job: Job, app: App) -> dict[str, str]:
    """The fields of the form that deploys the same again. The app's own repository is left to the API: it may have moved."""
    fields = {"git_ref": "gitRef", "image": "image", "container_port": "containerPort", "health_path": "healthPath"}
    wishes = {field: str(job.payload[key]) for field, key in fields.items() if job.payload.get(key)}
    repository, own = str(job.payload.get("repoSshUrl") or ""), app.repo_ssh_url or ""
    if repository and repository.rsplit("/", 1)[-1] != own.rsplit("/", 1)[-1]:
        wishes["repo_ssh_url"] = repository
    return wishes


def compare(found: ReleaseComparison) -> list[Difference]:
    """What two releases differ in, each fact once, changed or not; their variables apart."""
    old, new = found.old, found.new
    return [
        Difference("release_commit", old.git_sha or "", new.git_sha or ""),
        Difference("release_ref", old.git_ref or "", new.git_ref or ""),
        Difference("release_image", old.image, new.image),
        Difference("release_digest", old.digest or "", new.digest or ""),
        Difference("release_port", str(old.container_port), str(new.container_port)),
    ]


def duration(ms: int | None) -> str:
    """``820 ms``, ``12.4 s``, ``3 min 05 s``."""
    if ms is None:
        return ""
    if ms < 1000:
        return f"{ms} ms"
    seconds = ms / 1000
    if seconds < MINUTE:
        return f"{seconds:.1f} s"
    return f"{int(seconds // MINUTE)} min {int(seconds % MINUTE):02d} s"


def ago(language: str, moment: datetime | None, now: datetime) -> str:
    """How long ago ``moment`` was, in words."""
    if moment is None:
        return text(language, "never")
    seconds = max(0, int((now - moment).total_seconds()))
    if seconds < MINUTE:
        return text(language, "just_now")
    for limit, unit, key in ((HOUR, MINUTE, "min_ago"), (DAY, HOUR, "h_ago")):
        if seconds < limit:
            return text(language, key, n=seconds // unit)
    return text(language, "d_ago", n=seconds // DAY)
