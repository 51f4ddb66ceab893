"""Nodes, their heartbeats, and which node an app lives on."""
