"""Both pages on a wide screen, by day and at night."""
from stage import WIDE, play
from tour import tour

play(lambda stage: tour(stage, WIDE, ["dark", "light"]))
