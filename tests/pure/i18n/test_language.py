"""What a message in two languages says to one reader."""

from __future__ import annotations

import pytest

from funai.i18n.language import headline, message_parts, note_part

BOTH = "构建失败（退出码 1）\nthe build failed (exit status 1)\nnpm ERR!\nline 2\n"
NAMED = "应用 商店-店 已退出\nthe app 商店-店 has ended\nlast words"
"""Either line may name what has letters of the other language."""


@pytest.mark.parametrize(
    ("message", "zh", "en", "lines"),
    [
        (BOTH, "构建失败（退出码 1）", "the build failed (exit status 1)", "npm ERR!\nline 2"),
        (NAMED, "应用 商店-店 已退出", "the app 商店-店 has ended", "last words"),
        ("failed (exit 1)\nline 1\nline 2\n", "failed (exit 1)", "failed (exit 1)", "line 1\nline 2"),
        ("失败", "失败", "失败", ""),
        ("应用没有响应\n更多", "应用没有响应", "应用没有响应", "更多"),
        (None, "", "", ""),
    ],
)
def test_message_is_in_the_readers_language_and_the_programs_lines_apart(
    message: str | None, zh: str, en: str, lines: str
) -> None:
    assert message_parts("zh", message) == (zh, lines)
    assert message_parts("en", message) == (en, lines)
    assert headline("en", message) == en


@pytest.mark.parametrize(
    ("note", "zh", "en"),
    [
        (
            "网页 / 的应答是 404：每个访问者看到的都是它 / answers 404 at /: this is what every visitor sees",
            "网页 / 的应答是 404：每个访问者看到的都是它",
            "answers 404 at /: this is what every visitor sees",
        ),
        ("请改用以 / 开头的路径 / use a path that begins with /", "请改用以 / 开头的路径", "use a path that begins with /"),
        ("脚本 甲.js 的应答是 404 / the script 甲.js answers 404", "脚本 甲.js 的应答是 404", "the script 甲.js answers 404"),
        ("only English, at / or below", "only English, at / or below", "only English, at / or below"),
        ("只有中文", "只有中文", "只有中文"),
    ],
)
def test_note_is_split_between_its_languages(note: str, zh: str, en: str) -> None:
    assert (note_part("zh", note), note_part("en", note)) == (zh, en)
