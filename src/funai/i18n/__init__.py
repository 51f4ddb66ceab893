"""Texts for people, Chinese and English. Pure; imports nothing of ours."""
