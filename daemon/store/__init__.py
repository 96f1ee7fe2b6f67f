"""The only SQL: each noun.sql beside a thin typed noun.py."""
