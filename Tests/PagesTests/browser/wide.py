"""Both pages on a wide screen."""
from stage import WIDE, play
from tour import tour

play(lambda stage: tour(stage, WIDE))
