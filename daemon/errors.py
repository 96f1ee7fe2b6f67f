"""The few errors that somebody catches by name."""


class ConfigurationError(Exception):
    """Settings, rules or shops cannot work as they stand. Its text names the place and gives a hint; exit code 78."""


class TemporaryError(Exception):
    """A server is out of reach for now; exit code 75."""
