"""A blinded study: people rate music for dances, without knowing who or what made it.

As the papers ran theirs (Dance2MIDI, D2M-GAN): a dance with music on it is watched, and its consistency with the dance
and its noise are rated from 1 to 5. Here 5 is best for both.

``design`` says which dance is shown with which method's music, in what order and under which name; ``stimuli`` makes
the videos, equally loud (``loudness``); ``ratings`` reads what people answered; ``statistics`` says what follows.
"""
