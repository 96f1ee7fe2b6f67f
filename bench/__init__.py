"""The performance goals, measured on the product's own code: `make bench`."""
