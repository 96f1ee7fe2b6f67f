"""PostgreSQL and Valkey that tillbell brings along and runs itself, all inside one data folder."""

from daemon.embedded.folder import default_folder
from daemon.embedded.keys import key
from daemon.embedded.servers import Servers, start

__all__ = ["Servers", "default_folder", "key", "start"]
