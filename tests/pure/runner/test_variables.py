"""What builds and apps are told about themselves."""

from __future__ import annotations

import pytest

from funai.contracts.apps.buildspec import AppSpec
from funai.contracts.apps.variables import build_names, read_at_build, values_of, with_marks
from funai.contracts.jobs import Payload, RuntimeNodeRef
from funai.runner.variables import address, build_values, remarks

NODE = RuntimeNodeRef(id=1, name="n", agent_base_url="http://a", gateway_base_url="https://g.example:8443")
OWN = NODE.model_copy(update={"apps_url": "http://{app}.apps.localhost:8000/"})


@pytest.mark.parametrize(
    ("node", "spec", "base", "url"),
    [
        (NODE, AppSpec(), "/runtime/7", "https://g.example:8443/runtime/7/"),
        (OWN, AppSpec(), "", "http://7.apps.localhost:8000/"),
        (OWN, AppSpec(strip_prefix=False), "/runtime/7", "http://7.apps.localhost:8000/runtime/7/"),
        (NODE, AppSpec(strip_prefix=False), "/runtime/7", "https://g.example:8443/runtime/7/"),
        (None, AppSpec(), "/runtime/7", ""),
    ],
)
def test_address_is_where_people_reach_the_app(node: RuntimeNodeRef | None, spec: AppSpec, base: str, url: str) -> None:
    assert address(Payload(app_id=7), node, spec) == {"BASE_PATH": base, "FUNAI_URL": url}


def test_variables_of_builds_are_marked_beside_the_others() -> None:
    sealed = {"A": "1", "VITE_B": "2", **with_marks(["VITE_B"])}
    assert values_of(sealed) == {"A": "1", "VITE_B": "2"} and build_names(sealed) == ["VITE_B"]
    assert read_at_build(["A", "VITE_B", "NEXT_PUBLIC_C"]) == ["VITE_B", "NEXT_PUBLIC_C"]
    assert build_values(Payload(env={"A": "1", "VITE_B": "2"}, build_env=["VITE_B", "GONE"])) == {"VITE_B": "2"}


def test_remarks_name_what_a_build_does_not_see() -> None:
    public = Payload(env={"VITE_A": "1"})
    assert "--build VITE_A=…" in remarks(public, [], generated=True)[0]
    build = Payload(env={"VITE_A": "1"}, build_env=["VITE_A"])
    assert "ARG VITE_A" in remarks(build, [], generated=False)[0]
    assert remarks(build, ["VITE_A"], generated=False) == [] == remarks(build, [], generated=True)
    assert remarks(Payload(env={"SECRET": "1"}), [], generated=False) == []
