"""The stage of the audience channel: it has no provider that could be in a mood."""

from channels.audience import Audience
from tests.channels import in_house

MOODS = in_house.MOODS


def stage(mood):
    return in_house.stage(Audience())
