"""Apps' databases, in Chinese and English."""

from __future__ import annotations

from funai.contracts.reasons import Reason

DATABASES: dict[str, tuple[str, str]] = {
    # databases of apps
    Reason.DATABASES_OFF: (
        "本平台没有为应用提供数据库（管理员可设置 RUNTIME_POSTGRES_URL 或 RUNTIME_MONGO_HOST）",
        "this platform has no databases for apps (its operator sets RUNTIME_POSTGRES_URL or RUNTIME_MONGO_HOST)",
    ),
    Reason.DATABASE_NOT_OFFERED: (
        "本平台不提供 {kind} 数据库，可用的有：{kinds}",
        "this platform has no {kind} databases; it has: {kinds}",
    ),
    Reason.DATABASE_KIND_UNCLEAR: ("请指明数据库种类（kind）：{kinds}", "say which kind of database (kind): {kinds}"),
    Reason.DATABASE_NOT_FOUND: (
        "应用没有 {kind} 数据库；可用 funai db create 创建",
        "the app has no {kind} database; `funai db create` makes one",
    ),
    Reason.DATABASE_AWAY: (
        "平台的 {title} 没有响应，请稍后再试（{detail}）",
        "the platform's {title} does not answer; try again soon ({detail})",
    ),
    Reason.DATABASE_REFUSED: ("平台的 {title} 拒绝了操作：{detail}", "the platform's {title} refused: {detail}"),
    Reason.DATABASE_ACCOUNT_SHARED: (
        "所有应用共用一个数据库账号，不能轮换；管理员可设置 RUNTIME_MONGO_PER_APP_USERS=true",
        "all apps share one database account, which can't be rotated; the operator sets RUNTIME_MONGO_PER_APP_USERS=true",
    ),
    Reason.DATABASE_BACKUP_NOT_FOUND: (
        "没有这个备份，见 funai db info",
        "no such backup; `funai db info` lists those there are",
    ),
    Reason.DATABASE_BUSY: ("数据库正在备份、恢复或修改，请稍后再试", "the database is being backed up or changed: try later"),
    Reason.DATABASE_FULL: (
        "数据库已超过配额，只能读取和删除",
        "the database is over its quota: it may be read and emptied only",
    ),
    Reason.DATABASE_BACKUP_FAILED: ("备份没有写成：{detail}", "the backup could not be written: {detail}"),
    Reason.ORPHANS_NO_APPS: ("应用列表为空，已拒绝清理", "the list of apps is empty: nothing is cleaned up"),
    Reason.MONGO_COLLECTION_INVALID: (
        "集合名须以字母或数字开头，只含字母、数字、_ . -，最长 120 位",
        "a collection's name begins with a letter or digit, has letters, digits, _ . - only, and at most 120 of them",
    ),
    Reason.MONGO_COLLECTION_FORBIDDEN: ("不允许访问系统集合 {name}", "{name} is a system collection: not allowed"),
    Reason.MONGO_COLLECTION_EXISTS: ("集合 {name} 已存在", "collection {name} already exists"),
    Reason.MONGO_JSON_INVALID: ("{what} 不是可用的 JSON 对象：{detail}", "{what} is not a usable JSON object: {detail}"),
    Reason.MONGO_CODE_FORBIDDEN: ("不允许使用 {name}", "{name} is not allowed"),
    Reason.MONGO_DOC_EMPTY: ("文档不能为空", "the document is empty"),
    Reason.MONGO_FIELD_INVALID: (
        "字段 {name} 的类型 {type} 不可用，可用的有：{types}",
        "field {name}: type {type} is not usable; there are: {types}",
    ),
    Reason.MONGO_TOO_SLOW: ("查询超过 {seconds} 秒，已终止", "the query took longer than {seconds} s and was ended"),
}
