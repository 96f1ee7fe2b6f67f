"""The stage of the onsite channel: it has no provider that could be in a mood."""

from channels.onsite import Onsite
from tests.channels import in_house

MOODS = in_house.MOODS


def stage(mood):
    return in_house.stage(Onsite())
