"""The post that comes in: reports, complaints and replies are read here, and fetched or taken from mail servers."""
