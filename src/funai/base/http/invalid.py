"""What a request's validation found wrong, in words for people: pydantic speaks English only. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from funai.i18n.reasons import Words

WORDS: dict[str, tuple[str, str]] = {
    "missing": ("必填", "is missing"),
    "int_type": ("须为整数", "must be an integer"),
    "int_parsing": ("须为整数", "must be an integer"),
    "int_parsing_size": ("数字过大", "is too large a number"),
    "int_from_float": ("须为整数", "must be an integer"),
    "float_type": ("须为数字", "must be a number"),
    "float_parsing": ("须为数字", "must be a number"),
    "finite_number": ("须为有限的数字", "must be a finite number"),
    "bool_type": ("须为 true 或 false", "must be true or false"),
    "bool_parsing": ("须为 true 或 false", "must be true or false"),
    "string_type": ("须为文本", "must be a text"),
    "string_unicode": ("须为合法的 Unicode 文本", "must be a text of whole Unicode characters"),
    "string_too_long": ("最多 {max_length} 个字符", "has at most {max_length} characters"),
    "string_too_short": ("至少 {min_length} 个字符", "has at least {min_length} characters"),
    "string_pattern_mismatch": ("须符合 {pattern}", "must match {pattern}"),
    "greater_than": ("须大于 {gt}", "must be greater than {gt}"),
    "greater_than_equal": ("不得小于 {ge}", "must be at least {ge}"),
    "less_than": ("须小于 {lt}", "must be less than {lt}"),
    "less_than_equal": ("不得大于 {le}", "must be at most {le}"),
    "too_long": ("最多 {max_length} 项", "has at most {max_length} entries"),
    "too_short": ("至少 {min_length} 项", "has at least {min_length} entries"),
    "list_type": ("须为 JSON 数组", "must be a JSON array"),
    "dict_type": ("须为 JSON 对象", "must be a JSON object"),
    "model_type": ("须为 JSON 对象", "must be a JSON object"),
    "model_attributes_type": ("须为 JSON 对象", "must be a JSON object"),
    "enum": ("须为 {expected} 之一", "must be one of {expected}"),
    "literal_error": ("须为 {expected}", "must be {expected}"),
}
_OBJECTS = ("dict_type", "model_type", "model_attributes_type")
_JSON = Words("请求体须以 Content-Type: application/json 发送", "send the body with Content-Type: application/json")


def words_for(error: Mapping[str, Any], content_type: str) -> Words:
    """One of pydantic's errors as ``field what``; one that isn't known here keeps pydantic's own words."""
    place: tuple[Any, ...] = tuple(error["loc"])
    if place == ("body",) and error["type"] in _OBJECTS and not is_json(content_type):
        return _JSON
    where = ".".join(str(p) for p in place[1:]) or (str(place[0]) if place else "request")
    zh, en = WORDS.get(error["type"], (None, None))
    if zh is None or en is None:
        said = str(error["msg"]).removeprefix("Value error, ")
        return Words(f"{where}（{said}）", f"{where}: {said}")
    facts: Mapping[str, Any] = error.get("ctx", {})
    in_chinese = {name: str(fact).replace(" or ", " 或 ") for name, fact in facts.items()}
    return Words(f"{where} {zh.format_map(in_chinese)}", f"{where}: {en.format_map(facts)}")


def is_json(content_type: str) -> bool:
    kind = content_type.partition(";")[0].strip().lower()
    return kind == "application/json" or (kind.startswith("application/") and kind.endswith("+json"))
