"""The ten steps of one cart through the house, one module a verb."""
