"""The documentation says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

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
        assert [x for x in found[0] if "README" not in x] == [x for x in found[1] if "README" not in x]
    assert len(re.findall(r"^#+ ", english, re.MULTILINE)) == len(re.findall(r"^#+ ", chinese, re.MULTILINE))


def test_every_link_of_the_docs_leads_somewhere() -> None:
    for page in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for link in re.findall(r"\]\(([^)#]+)(?:#[^)]*)?\)", page.read_text()):
            if not link.startswith(("http", "mailto:")):
                assert (page.parent / link).exists(), f"{page.name}: {link}"
