"""Text of any kind is read or refused, and what the engine gets is read back as what was meant."""

from __future__ import annotations

from contextlib import suppress

from hypothesis import given, settings
from hypothesis import strategies as st

from funai.contracts.errors import BadInput
from funai.dockerfile.emit import Base, emit
from funai.dockerfile.rules import problems, trigger_problems
from funai.dockerfile.stages import read_plan
from funai.dockerfile.syntax import parse
from tests.pure.dockerfile.kit import AMD64, MAY

PIECES = [
    *("FROM ", "from ", "COPY ", "ADD ", "RUN ", "ARG ", "ENV ", "ONBUILD ", "SHELL ", "EXPOSE "),
    *(
        "--from=",
        "--mount=",
        "--chmod=755 ",
        "--link ",
        "--platform=$BUILDPLATFORM ",
        "type=cache,target=/x ",
        "from=a,target=/m ",
    ),
    *("node:20", "u1-app1", "a", "b", " AS ", "X=1", "$X", "${X:-a}", "${X##*", "}", '"', "'", "\\", "`", "\n", "\\\n", "`\n"),
    *("\r\n", "# c\n", "# escape=`\n", "<<E", "<<-'E'", "\nE\n", "[", '["a", "b"]', "http://x/", "./", "/", " ", "\t", "\f"),
    *("\u00a0", "\ufeff", "\x1c", "scratch", "0", ":", "@", "{", "é"),
]
TEXT = st.lists(st.sampled_from(PIECES), max_size=40).map("".join) | st.text(max_size=200)
LINES = st.lists(TEXT, max_size=6).map(lambda lines: "FROM node:20 AS a\n" + "\n".join(lines))


@given(TEXT)
def test_any_text_is_read_or_refused(text: str) -> None:
    with suppress(BadInput):
        parse(text)
        problems(read_plan(text), MAY, AMD64)


@given(TEXT)
def test_any_trigger_is_judged(text: str) -> None:
    trigger_problems([text], "x")


@settings(max_examples=300)
@given(LINES)
def test_what_is_written_is_read_back_as_the_same_and_in_one_meaning(text: str) -> None:
    try:
        plan = read_plan(text)
        if any(p.error for p in problems(plan, MAY, AMD64)):
            return
        names = {name: Base(f"docker.io/library/{name.replace(':', '-').replace('/', '-')}:full") for name in plan.images}
        written = emit(plan, names).text
    except BadInput:
        return
    again = read_plan(written)
    assert set(again.images) == {base.name for base in names.values()}
    assert [s.base.stage is None for s in again.stages] == [s.base.stage is None for s in plan.needed]
    assert emit(again, {}).text == written
    stages = {f"stage-{s.index}" for s in plan.stages} | {s.name for s in plan.stages} | {"scratch", "funai-files"}
    for i in parse(written).instructions:
        if i.name == "FROM":
            assert i.list[0] in stages | set(again.images)
        elif i.name == "ADD":
            assert all(word.startswith("./") for word in i.list[:-1])
        for flag in i.flags:
            origin = (
                flag.value
                if flag.name == "from"
                else dict(o.partition("=")[::2] for o in str(flag.value).split(",")).get("from")
            )
            assert origin is None or origin in stages | set(again.images)
