"""Alerts without Prometheus: what is wrong is looked for, and sent by e-mail and to chats."""
