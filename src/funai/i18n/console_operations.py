"""The console's texts about releases compared, and about who did what; a part of :mod:`funai.i18n.console`."""

from __future__ import annotations

OPERATIONS: dict[str, tuple[str, str]] = {
    "compare_variables_same": ("环境变量相同。", "The variables are the same."),
    "compare_variables_unknown": (
        "无法比较环境变量：这些版本的变量是用另一把密钥加密的，或者 Deploy 服务版本较旧。",
        "The variables can't be compared: they were sealed with another key, or the Deploy service is an older one.",
    ),
    "compare_variables_text": ("只比较，不显示变量的值。", "Values are compared, never shown."),
    "change_ADDED": ("新增", "added"),
    "change_REMOVED": ("删除", "removed"),
    "change_CHANGED": ("值已改", "value changed"),
}
