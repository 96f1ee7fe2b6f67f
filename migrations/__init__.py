"""Remembers: the schema's history, each step a plain .sql file."""
