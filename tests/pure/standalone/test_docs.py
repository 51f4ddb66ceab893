"""The documentation says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from funai.standalone.reference import reasons, render

ROOT = Path(__file__).parents[3]


def test_the_configuration_page_is_made_from_the_settings() -> None:
    assert (ROOT / "docs" / "configuration.md").read_text() == render(), "run `make docs`"


def test_the_reason_words_are_made_from_the_catalogue() -> None:
    assert (ROOT / "docs" / "how-to" / "troubleshooting.md").read_text() == reasons(), "run `make docs`"


def test_both_readmes_have_the_same_commands_links_and_headings() -> None:
    english, chinese = ((ROOT / name).read_text() for name in ("README.md", "README.zh-CN.md"))
    for pattern in (r"^\$ (.*?)(?:\s+#.*)?$", r"\]\(([^)]+)\)"):
        found = [sorted(re.findall(pattern, text, re.MULTILINE)) for text in (english, chinese)]
        found[1] = [x.replace("docs/images/console/zh/", "docs/images/console/en/") for x in found[1]]
        assert [x for x in found[0] if "README" not in x] == [x for x in found[1] if "README" not in x]
    assert len(re.findall(r"^#+ ", english, re.MULTILINE)) == len(re.findall(r"^#+ ", chinese, re.MULTILINE))


PAGES = sorted(path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.zh-CN.md"))


@pytest.mark.parametrize("page", PAGES)
def test_a_page_in_chinese_has_the_headings_tables_and_names_of_the_english_one(page: str) -> None:
    chinese = (ROOT / "docs" / page).read_text(encoding="utf-8")
    english = (ROOT / "docs" / page.replace(".zh-CN", "")).read_text(encoding="utf-8")
    for pattern in (r"^#+ ", r"^\|", r"^[*] ", r"^\d+\. ", r"^\*\*"):
        assert len(re.findall(pattern, chinese, re.MULTILINE)) == len(re.findall(pattern, english, re.MULTILINE)), pattern
    names = [set(re.findall(r"`([^`]+)`", re.sub(r"```.*?```", "", text, flags=re.DOTALL))) for text in (chinese, english)]
    assert names[0] == names[1]


def test_every_link_of_the_docs_leads_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if not link.startswith(("http", "mailto:")):
                assert (page.parent / link).exists(), f"{page.name}: {link}"
