"""Speaks: one file a channel, each found by its presence."""
