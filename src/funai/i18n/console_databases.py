"""The console's texts about apps' databases; a part of :mod:`funai.i18n.console`."""

from __future__ import annotations

DATABASES: dict[str, tuple[str, str]] = {
    "db_none_offered": (
        "这个平台没有启用数据库服务。需要时请联系管理员。",
        "No databases are offered on this platform. Ask the operator if you need one.",
    ),
    "tab_databases": ("数据库", "Databases"),
    "db_postgres": ("PostgreSQL", "PostgreSQL"),
    "db_mongo": ("MongoDB", "MongoDB"),
    "db_size": ("大小", "Size"),
    "db_read_only": ("超过配额，只读", "over its quota: read only"),
    "db_new": ("新建数据库", "A database"),
    "db_new_text": (
        "应用在下次部署或启动时得到它的地址（PostgreSQL：DATABASE_URL；MongoDB：MONGODB_URI）。",
        "The app gets its address at its next deploy or start (PostgreSQL: DATABASE_URL; MongoDB: MONGODB_URI).",
    ),
    "db_make": ("新建 {kind} 数据库", "Make a {kind} database"),
    "db_show_url": ("显示地址和密码", "Show address and password"),
    "db_url_text": ("应用得到的变量：{names}。请勿外传。", "The app gets it as {names}. Keep it to yourself."),
    "db_rotate": ("更换密码", "Change password"),
    "db_rotate_text": (
        "旧密码立即失效；正在运行的容器要重新部署，或停止后再启动，才会得到新密码。",
        "The old password ends at once; the running container gets the new one when it is deployed, or started, again.",
    ),
    "db_back_up": ("立即备份", "Back up now"),
    "db_backups": ("备份", "Backups"),
    "db_backup": ("备份", "Backup"),
    "db_restore": ("恢复", "Restore"),
    "db_restore_text": ("数据库的全部内容会被这个备份替换。", "All that the database holds is replaced by this backup."),
    "db_drop": ("删除数据库", "Drop database"),
    "db_drop_text": ("数据库及其全部数据会被删除；备份会保留。", "The database goes with all its data; its backups stay."),
    "done_db_created": ("数据库已就绪。", "The database is there."),
    "done_db_rotated": (
        "密码已更换；正在运行的容器用的是旧密码，请重新部署，或停止后再启动。",
        "The password is changed; the running container has the old one: deploy again, or stop and start the app.",
    ),
    "done_db_backup": ("已备份。", "Backed up."),
    "done_db_restored": ("已恢复。", "Restored."),
    "done_db_dropped": ("数据库已删除。", "The database is gone."),
}
