"""Ad platforms: an audience is a set of people there, kept as this side wants it by adding and removing."""
