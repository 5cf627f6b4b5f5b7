"""The trainer: a plain PyTorch loop that is told a `Task` and `Settings`, and knows nothing of releases.

result = train(task, Settings(steps=2000, batch=16), Path("runs/beats"), progress=show)
model.load_state_dict(load_weights(result.best_weights))
"""

from d2midi_build.errors import TrainingError
from d2midi_build.train.core.files import load_weights
from d2midi_build.train.core.loop import Best, Result, train
from d2midi_build.train.core.settings import Settings
from d2midi_build.train.core.task import Described, Judged, Task, Weighted
from d2midi_build.train.core.watching import Progress

__all__ = [
    "Best",
    "Described",
    "Judged",
    "Progress",
    "Result",
    "Settings",
    "Task",
    "TrainingError",
    "Weighted",
    "load_weights",
    "train",
]
