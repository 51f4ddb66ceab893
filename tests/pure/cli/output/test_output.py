from __future__ import annotations

import ast
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from funai.cli import verbs
from funai.cli.diagnosis import Check, Level, engine_verdict, fingerprint, port_verdict, worst
from funai.cli.output.output import Output, duration, plain_table
from funai.cli.output.progress import Change
from funai.cli.output.views import plain_change, queue_words
from funai.cli.verbs.status import ago
from funai.i18n.labels import CHINESE, cells, label


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (9.94, "9.9 s"), (12.4, "12 s"), (61, "1 min 01 s"), (3_725, "1 h 02 min")]
)
def test_durations_as_people_say_them(seconds: float, text: str) -> None:
    assert duration(seconds) == text


@pytest.mark.parametrize(("seconds", "text"), [(3, "just now"), (61, "1 min ago"), (7_300, "2 h ago"), (9e5, "10 d ago")])
def test_ages_as_people_say_them(seconds: float, text: str) -> None:
    assert ago(seconds) == text


def test_columns_align_by_terminal_cells() -> None:
    table = plain_table(["id", "name"], [["1", "未命名"], ["10", "x"]])
    assert table == "ID  NAME\n1   未命名\n10  x"


def test_json_has_stdout_for_itself(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output(as_json=True, language="en")
    out.line("for people")
    out.aside("for people")
    out.table(["a"], [[1]])
    out.document({"name": "应用"})
    out.error("no", "do this", code=409, traceId=None)
    said = capsys.readouterr()
    assert said.out == '{"name": "应用"}\n'
    assert json.loads(said.err) == {"error": {"message": "no", "hint": "do this", "code": 409}}


def test_people_see_no_json(capsys: pytest.CaptureFixture[str]) -> None:
    out = Output(as_json=False, language="zh")
    out.document({"a": 1})
    out.event({"a": 1})
    out.error("不行", "这样做", code=409)
    said = capsys.readouterr()
    assert said.out == ""
    assert said.err == "错误: 不行\n下一步: 这样做\n"


def test_facts_leave_out_what_is_empty(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=False, language="en").facts([("name", "x"), ("url", None), ("id", 0)])
    assert capsys.readouterr().out == "name  x\nid    0\n"


def test_plain_lines_of_a_deploy() -> None:
    en, zh = Output(as_json=False, language="en"), Output(as_json=False, language="zh")
    assert plain_change(en, Change("finished", "BUILD", 2.04)) == "✓ build 2.0 s"
    assert plain_change(en, Change("failed", "BUILD", 70)) == "✗ build 1 min 10 s"
    assert plain_change(en, Change("queue", "QUEUED", note="3")) == "… queued: 2 ahead of it"
    assert plain_change(zh, Change("started", "CLONE")) == "… 拉取代码"
    assert plain_change(en, Change("attempt", "QUEUED", note="2")) == "… attempt 2"


def test_a_waiting_job_says_what_for() -> None:
    en = Output(as_json=False, language="en")
    assert queue_words(en, "1") == "next in line"
    assert queue_words(en, "NO_RUNTIME_NODE") == "no runtime node is available; the job waits"
    assert queue_words(en, "") == ""


def test_the_fingerprint_is_openssh_s() -> None:
    key = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIOMqqnkVzrm0SdG6UOoqKLsabgH5C9okWi0dh2l9GKJl me@host"
    assert fingerprint(key) == "SHA256:+DiY3wvvV6TuJJhbpZisF/zLDA0zPMSvHdkr4UvCOqU"
    assert fingerprint("nonsense") is None
    assert fingerprint("ssh-ed25519 not*base64") is None


def test_doctor_s_verdicts() -> None:
    assert engine_verdict("4.3.1", None).level is Level.OK
    assert engine_verdict(None, "20.10").detail == "docker 20.10"
    assert engine_verdict(None, None).level is Level.FAIL
    assert port_verdict("API", 8080, taken=True).level is Level.WARN
    assert worst([Check("a", Level.OK, ""), Check("b", Level.WARN, "")]) is Level.WARN
    assert worst([Check("a", Level.FAIL, ""), Check("b", Level.WARN, "")]) is Level.FAIL
    assert worst([]) is Level.OK


def test_labels_are_chinese_for_chinese_and_take_two_cells_a_character() -> None:
    assert [label(w, "zh") for w in ("status", "port 8080", "port", "sha")] == ["状态", "端口 8080", "端口", "sha"]
    assert label("status", "en") == "status"
    assert cells("最近任务 1") == 10


def test_facts_and_checks_in_chinese(capsys: pytest.CaptureFixture[str]) -> None:
    Output(as_json=False, language="zh").facts([("app", "shop"), ("last job", "7")])
    assert capsys.readouterr().out == "应用      shop\n最近任务  7\n"
    assert engine_verdict(None, None, "zh").detail == "podman 和 docker 都没有应答"
    assert port_verdict("API", 8080, taken=False, language="zh").detail == "空闲，可给 API 用"
    assert ago(300, "zh") == "5 分钟前"


def test_every_heading_of_a_verb_has_its_chinese_and_no_other_is_kept() -> None:
    said = {text for file in Path(verbs.__path__[0]).rglob("*.py") for text in headings(ast.parse(file.read_text()))}
    assert said - set(CHINESE) - {"", "id"} == set()
    assert set(CHINESE) - said == {"engine"}, "(diagnosis.py says that one)"


def headings(tree: ast.AST) -> Iterator[str]:
    """Columns of tables, names of facts and of the doctor's checks, as constants."""
    for call in (n for n in ast.walk(tree) if isinstance(n, ast.Call)):
        name = getattr(call.func, "attr", "") or getattr(call.func, "id", "")
        found: list[ast.AST] = []
        if name == "table" and isinstance(call.args[0], ast.List):
            found = [*call.args[0].elts]
        elif name == "facts":
            found = [n.elts[0] for n in ast.walk(call.args[0]) if isinstance(n, ast.Tuple)]
        elif name == "Check":
            found = [call.args[0]]
        yield from (str(n.value) for n in found if isinstance(n, ast.Constant))
