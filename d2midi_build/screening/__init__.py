"""Which takes are good enough: criteria over scores, people's verdicts over both, and how well that works.

``criteria`` holds stored scores against the recipe; ``verdicts`` keeps what people decided and lays it over;
``truth`` and ``calibration`` measure the whole against videos that somebody has labelled.
"""
