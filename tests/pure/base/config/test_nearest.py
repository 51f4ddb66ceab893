"""Keys that nothing reads, and the known key that each was meant to be."""

from __future__ import annotations

import pytest

from funai.base.config.nearest import nearest
from funai.standalone.configuration.loading import own_names, service_names

KNOWN = service_names() | own_names()


@pytest.mark.parametrize(
    ("key", "meant"),
    [
        ("FUNAI_SLOTS", "RUNNER_SLOTS"),  # begins like FUNAI_HOST, and is another service's
        ("FUNAI_DATABASE_QUOTA", "RUNTIME_DATABASE_QUOTA"),
        ("FUNAI_TLS_CERT", "FUNAI_TLS_CERTIFICATE"),
        ("RUNNER_TOKN", "RUNNER_TOKEN"),
        ("RUNTIME_APP_MEM", "RUNTIME_APP_MEMORY"),
        ("DEPLOY_PORT", "DEPLOY_SERVER_PORT"),  # not the gateway's
        ("FUNAI_DATADIR", "FUNAI_DATA_DIR"),
        ("FUNAI_DEBUG", None),
        ("RUNNER_X", None),
    ],
)
def test_nearest_key_of_all_services(key: str, meant: str | None) -> None:
    assert nearest(key, KNOWN) == meant


def test_nearest_key_in_the_form_of_a_properties_file() -> None:
    assert nearest("deploy.jobs.max-attempt", ["deploy.job.max-attempts", "deploy.job.timeout"]) == "deploy.job.max-attempts"
    assert nearest("a", []) is None
