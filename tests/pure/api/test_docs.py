"""docs/api.md keeps up with the API."""

from __future__ import annotations

import re
from pathlib import Path

from funai.api import main
from funai.api.settings import ApiSettings

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "api.md").read_text(encoding="utf-8")
RAISED = re.compile(
    r"\b(?:BadInput|Unauthenticated|Forbidden|NotFound|Conflict|TooMany|CalleeFailed|Unavailable)\(\s*Reason\.([A-Z_]+)"
)


def test_every_reason_the_api_gives_by_itself_is_documented() -> None:
    raised = {r for file in (ROOT / "src/funai/api").rglob("*.py") for r in RAISED.findall(file.read_text(encoding="utf-8"))}
    assert len(raised) > 20
    assert {r for r in raised if f"`{r}`" not in PAGE} == set()


def test_every_call_is_documented_by_its_path(tmp_path: Path) -> None:
    settings = ApiSettings(datasource_url=f"sqlite:///{tmp_path}/api.db", jwt_secret="j" * 40, deploy_secret="s" * 20)
    paths = {path.removeprefix("/api/fun-ai") for path in main.build(settings).openapi()["paths"]}
    nodes = "/admin/deploy-nodes"  # told once; its other calls by their last word
    assert {p for p in paths if p not in PAGE and f"`{p.removeprefix(nodes)}" not in PAGE} == set()
