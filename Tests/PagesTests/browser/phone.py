"""Both pages on a phone."""
from stage import PHONE, play
from tour import tour

play(lambda stage: tour(stage, PHONE))
