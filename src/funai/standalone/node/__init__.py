"""``funai node join|leave``: this machine becomes a runtime node of a platform that runs elsewhere, or stops being one."""
