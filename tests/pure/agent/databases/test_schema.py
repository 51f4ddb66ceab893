"""A new collection's validator, in both forms that callers send fields in."""

from __future__ import annotations

import json

import pytest

from funai.agent.databases.mongodb.explorer import _schema as schema_of  # pyright: ignore[reportPrivateUsage]
from funai.contracts.apps.databases import MongoCreate
from funai.contracts.errors import BadInput

FIELDS = [{"name": "title", "type": "string", "required": True}, {"name": "n", "type": "integer", "nullable": True}]
OPEN = {
    "bsonType": "object",
    "required": ["title"],
    "properties": {"title": {"bsonType": "string"}, "n": {"bsonType": ["int", "null"]}},
}


def test_fields_as_a_list_and_as_its_text_make_the_same_schema() -> None:
    for fields in (FIELDS, json.dumps(FIELDS)):
        assert schema_of(MongoCreate.model_validate({"collection": "c", "fields": fields})) == OPEN


def test_strict_allows_no_other_fields() -> None:
    made = schema_of(MongoCreate.model_validate({"collection": "c", "strict": True, "fields": FIELDS}))
    assert made["additionalProperties"] is False
    assert set(made["properties"]) == {"_id", "title", "n"}


def test_a_json_schema_is_taken_as_it_is() -> None:
    given = {"required": ["a"], "properties": {"a": {"bsonType": "string"}}}
    for fields in (given, json.dumps(given)):
        assert schema_of(MongoCreate.model_validate({"collection": "c", "fields": fields})) == {"bsonType": "object", **given}


@pytest.mark.parametrize("fields", ["{", "[1]", [{"name": "a", "type": "javascript"}], [{"name": "$a"}], '{"$where": "1"}'])
def test_fields_that_are_not_usable_are_refused(fields: object) -> None:
    with pytest.raises(BadInput):
        schema_of(MongoCreate.model_validate({"collection": "c", "fields": fields}))
