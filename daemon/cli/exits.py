"""What a command ends with."""

FINE, FINDINGS, USAGE, TRY_AGAIN, CONFIGURATION = 0, 1, 2, 75, 78
