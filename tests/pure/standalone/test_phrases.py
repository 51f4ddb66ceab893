"""What the whole platform on one machine says is said in the terminal's language."""

from __future__ import annotations

import re
import string
from pathlib import Path

import pytest

from funai.standalone.phrases import PHRASES, phase_words, phrase

SOURCE = Path(__file__).parents[3] / "src/funai/standalone"


@pytest.mark.parametrize("name", PHRASES)
def test_both_languages_say_it_with_the_same_facts(name: str) -> None:
    zh, en = ({f for _, f, _, _ in string.Formatter().parse(text) if f} for text in PHRASES[name])
    assert zh == en


def test_it_is_the_terminals_language(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FUNAI_LANG", "zh")
    assert phrase("is_up", seconds="3.2") == "FunAI 已启动（3.2 秒）"
    assert (phase_words("BUILD"), phase_words("PENDING"), phase_words("deploy.pull")) == ("构建", "排队", "deploy.pull")
    monkeypatch.setenv("FUNAI_LANG", "en")
    assert phrase("is_up", seconds="3.2") == "FunAI is up (3.2 s)"
    assert (phase_words("BUILD"), phase_words("RUNNING")) == ("build", "running")


def test_every_phrase_is_said_somewhere_and_nothing_is_said_past_them() -> None:
    files = [f for f in SOURCE.rglob("*.py") if f.name != "phrases.py"]
    text = "\n".join(f.read_text(encoding="utf-8") for f in files)
    said = set(re.findall(r"phrase\(\s*[\"']([a-z_]+)[\"']", text)) | {"origin_present", "origin_pulled", "origin_made"}
    assert said == set(PHRASES)
    assert re.findall(r"\bsay\(f?\"(?!  )", text) == []
