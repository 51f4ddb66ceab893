"""The Runner's rules over values: leases, logs, redaction, failures, trees, eviction, limits, registry names."""

from __future__ import annotations

import json
from typing import Any

import pytest

from funai.base.clients.deploy import RunnerDeployClient
from funai.base.clients.transport import AgentRefused, Unreachable
from funai.base.observability.redact import MASK, Redactor
from funai.contracts.errors import Conflict
from funai.contracts.jobs import MAX_TEXT, AppendLog, Job
from funai.contracts.reasons import Blame, FailureCode
from funai.contracts.states import JobStatus
from funai.runner.build.cgroup import limits
from funai.runner.build.output import Output
from funai.runner.claim.lease import KILL_MARGIN, Lease, LeaseGone, Lost, verdict
from funai.runner.cleanup.image_eviction import CachedImage, is_cache, parse_described, parse_images, removable
from funai.runner.failures import JobFailed, from_agent, last_lines
from funai.runner.logs import LogStream
from funai.runner.publish.registry import RegistryLogin, auth_config, is_insecure
from funai.runner.settings import RunnerSettings
from funai.runner.source.mirrors import Entry, parse_tree, refuse_unsupported

NOW = "2026-01-01T00:00:00Z"


def job(number: int = 1, **values: Any) -> Job:
    wire: dict[str, Any] = {
        "id": number,
        "type": "BUILD_AND_DEPLOY",
        "status": "RUNNING",
        "payload": {},
        "createdAt": NOW,
        "updatedAt": NOW,
    }
    return Job.model_validate(wire | values)


class TestLease:
    def test_work_ends_before_the_lease_could_have_lapsed(self) -> None:
        lease = Lease(job(), seconds=30, granted_at=100)
        assert lease.left(100) == 30 - KILL_MARGIN and lease.left(129) < 0

    def test_an_older_beats_answer_never_shortens_it(self) -> None:
        lease = Lease(job(), seconds=30, granted_at=100)
        lease.extended(110)
        lease.extended(105)
        assert lease.deadline == 140

    def test_it_is_lost_once_and_whoever_asks_later_hears_at_once(self) -> None:
        lease, heard = Lease(job(), seconds=30, granted_at=100), list[str]()
        lease.on_lost(lambda: heard.append("early"))
        lease.lose(Lost.CANCELLED)
        lease.lose(Lost.LEASE_LOST)
        lease.on_lost(lambda: heard.append("late"))
        assert heard == ["early", "late"] and lease.lost is Lost.CANCELLED

    def test_a_step_others_see_is_refused_after_its_end(self) -> None:
        with pytest.raises(LeaseGone):
            Lease(job(), seconds=30, granted_at=-1e9).check()

    def test_what_an_answer_means(self) -> None:
        assert verdict(JobStatus.RUNNING) is None
        assert verdict(JobStatus.CANCELLED) is Lost.CANCELLED
        assert verdict(JobStatus.PENDING) is Lost.LEASE_LOST


class Sink(RunnerDeployClient):
    """Keeps what is appended; may lose answers."""

    def __init__(self) -> None:
        self.kept, self.lose_answers = b"", 0
        self.error: Conflict | None = None

    async def append_log(self, job_id: int | str, log: AppendLog) -> int:
        if self.error:
            raise self.error
        if log.offset > len(self.kept):
            raise Conflict("LOG_GAP", expected=len(self.kept))
        self.kept += log.chunk.encode()[len(self.kept) - log.offset :]
        if self.lose_answers:
            self.lose_answers -= 1
            raise Unreachable("deploy", "gone", sent=True)
        return len(self.kept)


class TestLogs:
    def stream(self, sink: Sink, *secrets: str, resume: bool = False) -> LogStream:
        return LogStream(sink, "r", 1, token=None, resume=resume, redact=Redactor(secrets))

    async def test_split_characters_and_lines_arrive_whole(self) -> None:
        sink = Sink()
        stream = self.stream(sink)
        for byte in "你好\x1b[31m红\x1b[0m\nrest".encode():
            stream.write(bytes([byte]))
        await stream.finish(1)
        assert sink.kept.decode() == "你好\x1b[31m红\x1b[0m\nrest\n"

    async def test_a_lost_answer_repeats_nothing(self) -> None:
        sink = Sink()
        sink.lose_answers = 2
        stream = self.stream(sink)
        stream.line("one")
        stream.line("two")
        await stream.finish(10)
        assert sink.kept == b"one\ntwo\n"

    async def test_a_secret_split_between_writes_is_masked(self) -> None:
        sink = Sink()
        stream = self.stream(sink, "hunter2-hunter2")
        stream.write(b"x" * 9000 + b"hunter2-")
        stream.write(b"hunter2 end\n")
        await stream.finish(1)
        assert b"hunter2" not in sink.kept and MASK.encode() in sink.kept

    async def test_a_secret_across_the_cut_of_a_long_line_is_masked(self) -> None:
        sink = Sink()
        stream = self.stream(sink, "hunter2-hunter2")
        for at in range(8100, 8300, 7):
            stream.write(b"x" * at + b"hunter2-hunter2" + b"y" * 9000)
        await stream.finish(1)
        assert b"hunter" not in sink.kept and b"2y" not in sink.kept

    async def test_a_nul_hides_no_secret(self) -> None:
        sink = Sink()
        stream = self.stream(sink, "hunter2-hunter2")
        stream.write(b"hunter2\x00-hunter2\n")
        await stream.finish(1)
        assert sink.kept.decode() == f"{MASK}\n"

    async def test_a_later_attempt_goes_on_where_the_log_ends(self) -> None:
        sink = Sink()
        sink.kept = b"before\n"
        stream = self.stream(sink, resume=True)
        stream.line("after")
        await stream.finish(1)
        assert sink.kept == b"before\nafter\n"

    async def test_a_deploy_without_logs_gets_none_and_nothing_waits(self) -> None:
        sink = Sink()
        sink.error = Conflict("LEASE_LOST")
        stream = self.stream(sink)
        stream.line("x")
        await stream.finish(1)
        assert sink.kept == b""

    async def test_what_deploy_cannot_take_in_time_is_dropped_with_a_note(self) -> None:
        sink = Sink()
        stream = self.stream(sink)
        for _ in range(6):
            stream.write(b"y" * 1024 * 1024 + b"\n")
        await stream.finish(5)
        assert b"bytes of output dropped" in sink.kept and len(sink.kept) < 5 * 1024 * 1024


class TestFailures:
    def test_both_languages_then_the_last_lines(self) -> None:
        e = JobFailed(FailureCode.GIT_REF_NOT_FOUND, ["why"], ref="x")
        zh, en, why = e.error_message().split("\n")
        assert "x" in zh and "x" in en and zh != en and why == "why"
        assert e.failure.blame is Blame.USER

    def test_secrets_are_masked_before_lines_are_cut(self) -> None:
        secret = "hunter2-hunter2"
        line = "x" * 495 + secret
        said = JobFailed(FailureCode.APP_EXITED, [line, secret], detail=secret).error_message(Redactor([secret]))
        assert "hunter" not in said and said.endswith(MASK + "\n" + MASK)

    def test_reason_at_the_end_of_long_lines_is_kept(self) -> None:
        step = f'Error: building at STEP "RUN {"x" * 6_000}": while running runtime: exit status 7'
        said = JobFailed(FailureCode.BUILD_FAILED, ["[advice]", *["y" * 499] * 20, step], exit=7).error_message()
        assert len(said) <= MAX_TEXT
        assert said.endswith('x": while running runtime: exit status 7') and "[advice]" in said
        assert "Error: building at STEP" in said and said.count("y" * 499) < 20

    def test_every_code_has_its_words(self) -> None:
        for code in FailureCode:
            assert not JobFailed(code).error_message().startswith("JOB_"), code

    def test_last_lines_lose_colours_progress_bars_and_emptiness(self) -> None:
        text = "a\n\n\x1b[31mred\x1b[0m\n10%\r100%\nend\x07\n"
        assert last_lines(text) == ["a", "red", "100%", "end"]
        assert len(last_lines("\n".join(map(str, range(100))))) == 20

    def test_the_agents_reasons(self) -> None:
        detail = {"code": "APP_OUT_OF_MEMORY", "message": "oom", "logTail": ["last"]}
        e = from_agent(AgentRefused(422, "REMOTE", "oom", detail))
        assert e.code is FailureCode.APP_OUT_OF_MEMORY and e.lines == ["last"] and e.failure.blame is Blame.USER
        assert from_agent(AgentRefused(422, "REMOTE", "bad", "bad")).code is FailureCode.APP_UNHEALTHY
        assert from_agent(AgentRefused(409, "STALE_GENERATION", "old", "old")).code is FailureCode.STALE_GENERATION
        assert from_agent(AgentRefused(500, "REMOTE", "x", {"code": 7})).code is FailureCode.AGENT_UNREACHABLE


class TestSource:
    def test_a_tree_with_any_name(self) -> None:
        records = ["100644 blob {0}      12\tdir/名 前", "120000 blob {0}       3\tlink", "160000 commit {0}       -\tsub", ""]
        entries = parse_tree("\0".join(records).format("a" * 40).encode())
        assert entries == [Entry("100644", 12, "dir/名 前"), Entry("120000", 3, "link"), Entry("160000", 0, "sub")]

    def test_submodules_and_giants_are_refused(self) -> None:
        for entries in ([Entry("160000", 0, "sub")], [Entry("100644", 99, "big")]):
            with pytest.raises(JobFailed) as caught:
                refuse_unsupported(entries, 50)
            assert caught.value.code is FailureCode.GIT_UNSUPPORTED


class TestEviction:
    def test_only_what_builds_left_and_nobody_uses(self) -> None:
        assert is_cache(CachedImage("1", "", (), 0)) and is_cache(CachedImage("1", "", ("r:5/n/u1-app2:latest",), 0))
        assert not is_cache(CachedImage("1", "", ("docker.io/library/node:20",), 0))
        assert not is_cache(CachedImage("1", "", ("r/n/u1-app2@sha256:00",), 0))
        assert not is_cache(CachedImage("1", "", (), 0, containers=1))

    def test_superseded_before_named_oldest_first_and_no_parents(self) -> None:
        images = [
            CachedImage("base", "", ("node:20",), 1),
            CachedImage("layer", "base", (), 2),
            CachedImage("old", "layer", (), 5),
            CachedImage("older", "base", (), 3),
            CachedImage("app", "layer", ("r/n/u1-app1:latest",), 4),
        ]

        def ids(among: list[CachedImage], older_than: int) -> list[str]:
            return [i.id for i in removable(among, older_than=older_than)]

        assert ids(images, 9) == ["older", "old"] and ids(images, 4) == ["older"]
        rest = [i for i in images if i.id not in ("old", "older")]
        assert ids(rest, 9) == ["app"]

    def test_the_engines_list(self) -> None:
        assert parse_images('[{"Id": "a", "ParentId": "", "Names": null, "Created": 5, "Containers": 0}]') == [
            CachedImage("a", "", (), 5)
        ]
        assert parse_images("") == []

    def test_dockers_descriptions(self) -> None:
        when = "1970-01-01T00:00:05.123456789Z"
        ours, digest = "r:5/n/u1-app1:latest", "r:5/n/u1-app1@sha256:0"
        lines = [["a", "p", [ours], [digest], when], ["b", "", [], [digest], when], ["c", "", None, None, when]]
        found = parse_described("\n".join(map(json.dumps, lines)))
        assert found[0] == CachedImage("a", "p", (ours,), 5)
        assert [is_cache(i) for i in found] == [True, False, True]


async def test_output_past_its_limit_is_an_end_with_the_last_lines() -> None:
    seen: list[bytes] = []
    output = Output(10, seen.append)
    await output.take(b"12345\n")
    with pytest.raises(JobFailed) as caught:
        await output.take(b"67890\n")
    assert seen == [b"12345\n"] and caught.value.lines == ["12345", "67890"]


@pytest.mark.parametrize("words", ["npm error Exit handler never called!\n", "npm ERR! cb() never called!\n"])
async def test_output_of_an_npm_that_gave_up_ends_a_build_of_ones_own_dockerfile(words: str) -> None:
    seen: list[bytes] = []
    quoting, strict, lenient = (Output(900, seen.append, strict=is_own) for is_own in (True, True, False))
    await quoting.take(f"STEP 4/4: RUN echo '{words}'\nExit handler never called!\n".encode())
    await lenient.take(words.encode())
    await strict.take(f"STEP 4/4: RUN npm ci\n{words[:20]}".encode())
    with pytest.raises(JobFailed, match="gave up without installing") as caught:
        await strict.take(words[20:].encode())
    assert (caught.value.code, caught.value.code.blame) == (FailureCode.PACKAGE_REGISTRY_UNREACHABLE, Blame.PLATFORM)
    assert caught.value.lines[-1] == words.strip()


def test_limits_of_both_cgroup_versions() -> None:
    files = limits(memory_bytes=1024, pids=7, cpus=1.5)
    assert files["memory.max"] == files["memory.limit_in_bytes"] == "1024" and files["pids.max"] == "7"
    assert files["cpu.max"] == "150000 100000" and files["cpu.cfs_quota_us"] == "150000"
    assert list(files).index("memory.limit_in_bytes") < list(files).index("memory.memsw.limit_in_bytes")


def test_plain_http_only_on_loopback_and_where_listed() -> None:
    assert is_insecure("127.0.0.1:5000", frozenset()) and is_insecure("localhost:5000", frozenset())
    assert is_insecure("r.lan:80", frozenset({"r.lan:80"}))
    assert not is_insecure("127.0.0.1.evil.com", frozenset()) and not is_insecure("r.io", frozenset())


def test_the_login_is_one_registrys() -> None:
    assert auth_config(None) == "{}"
    assert auth_config(RegistryLogin("r:5", "u", "p")) == '{"auths": {"r:5": {"auth": "dTpw"}}}'


def test_settings_read_older_installations_and_refuse_the_hosts_network() -> None:
    def load(**env: str) -> RunnerSettings:
        return RunnerSettings.load(environ={"RUNTIME_AGENT_TOKEN": "token-token", **env})

    assert load(RUNNER_DOCKER_BUILD_PULL="true").pull == "always" and load(RUNNER_DOCKER_BUILD_PULL="0").pull == "missing"
    assert load(RUNNER_DOCKER_BUILD_PULL="Never").pull == "never" and load().slots == 2
    for bad in (
        {"RUNNER_BUILD_NETWORK": "host"},
        {"RUNNER_BUILD_NETWORK": "container:x"},
        {"RUNTIME_AGENT_TOKEN": "CHANGE_ME"},
    ):
        with pytest.raises(Exception, match=next(iter(bad))):
            load(**bad)
