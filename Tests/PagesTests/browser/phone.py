"""Both pages on a phone, at night."""
from stage import PHONE, play
from tour import tour

play(lambda stage: tour(stage, PHONE, ["dark"]))
