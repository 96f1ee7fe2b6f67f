"""`python -m daemon` is `tillbell`."""

from daemon.cli import main

main()
