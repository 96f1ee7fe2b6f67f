"""Acts: polls shops, keeps what changed, asks the rules, speaks through the channels."""
