"""Live inference: sample blocks in, decisions out.

``streams`` holds what belongs to one profile and does no I/O · ``directory`` knows which profile has which model ·
``worker`` connects them to the bus, the predictor and the store.
"""
