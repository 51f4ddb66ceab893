"""All apps' ids on their way to nodes: small however many there are, and the same set when they arrive."""

from __future__ import annotations

import base64
import random
import zlib

import pytest

from funai.contracts.apps.databases import MAX_LISTED, ExistingApps, FindOrphans
from funai.contracts.apps.idlist import MAX_PACKED, pack_ids, unpack_ids
from funai.contracts.errors import BadInput


def test_packed_ids_come_back_in_order_and_once() -> None:
    assert unpack_ids(pack_ids([7, 3, 10**18, 3])) == [3, 7, 10**18]
    assert unpack_ids("") == []


def test_a_million_ids_with_gaps_fit_into_a_request() -> None:
    rng = random.Random(1)
    ids = [i for i in range(1, 1_400_000) if rng.random() < 0.75]
    assert len(ids) > 1_000_000
    wire = FindOrphans(**FindOrphans.fields_of(ids)).to_wire()
    assert "existingAppIds" not in wire or not wire["existingAppIds"]
    assert len(wire["packedAppIds"]) < 500_000 < MAX_PACKED
    assert FindOrphans.model_validate(wire).existing == set(ids)


def test_few_ids_are_listed_as_peers_of_before_read_them() -> None:
    assert ExistingApps.fields_of([1, 2]) == {"existing_app_ids": ["1", "2"]}
    assert "existing_app_ids" in ExistingApps.fields_of(range(1, MAX_LISTED + 1))
    assert "existing_app_ids" not in ExistingApps.fields_of(range(1, MAX_LISTED + 2))


@pytest.mark.parametrize(
    "text",
    [
        "!",
        base64.b64encode(b"1,2").decode(),
        base64.b64encode(zlib.compress(b"1,x")).decode(),
        pack_ids(range(1, 10_000))[:40],
        base64.b64encode(zlib.compress(b"1," * 5_000_000)).decode(),
    ],
    ids=["no base64", "not compressed", "no numbers", "cut short", "a bomb"],
)
def test_a_text_that_is_no_packed_list_is_refused(text: str) -> None:
    with pytest.raises(BadInput):
        _ = ExistingApps(packed_app_ids=text).existing
