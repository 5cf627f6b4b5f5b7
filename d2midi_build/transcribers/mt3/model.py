"""MT3 ready to listen: sound in, the notes its tokens stand for out."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice

import numpy as np
import numpy.typing as npt
import torch

from d2midi_build.engine.base import Report
from d2midi_build.transcribers.mt3.checkpoint import Checkpoint
from d2midi_build.transcribers.mt3.codec import Decoded, Decoder, Tokens
from d2midi_build.transcribers.mt3.decoding import Rule, decode
from d2midi_build.transcribers.mt3.front_end import LogMel, resampled, segments
from d2midi_build.transcribers.mt3.network import Network
from d2midi_build.transcribers.mt3.vocabulary import Vocabulary


class Mt3Model:
    """A network with its weights on a device, and all that stands before and behind it.

    Parameters
    ----------
    checkpoint : Checkpoint
    rule : {"reference", "argmax"}
        How tokens are chosen; see `decoding.decode`.
    device : torch.device or str
    dtype : torch.dtype
        What the network computes in.
    batch : int
        Segments at a time.
    """

    def __init__(
        self,
        checkpoint: Checkpoint,
        rule: Rule = "reference",
        device: torch.device | str = "cpu",
        dtype: torch.dtype = torch.float32,
        batch: int = 32,
    ) -> None:
        self._preset, self._rule, self._batch = checkpoint.preset, rule, batch
        self._vocabulary = Vocabulary.of(checkpoint.preset.num_velocity_bins)
        self._log_mel = LogMel(device)
        self._network = Network(checkpoint.dimensions, device, dtype)
        self._network.load(checkpoint.weights)

    def hear(
        self, audio: npt.NDArray[np.float32], sample_rate_hz: int, progress: Report | None = None
    ) -> Decoded:
        """The notes of a recording, to 10 ms, in seconds from its first sample.

        Memory beyond ``audio`` itself is that of one batch of segments and of the notes.

        Parameters
        ----------
        audio : np.ndarray, shape (n,) or (n, channels), float32
        sample_rate_hz : int
        progress : callable, optional
            Is told the share done, 0-1, after each batch.
        """
        decoder = Decoder(self._vocabulary, self._preset.ties)
        for batch in self._batches(audio, sample_rate_hz):
            for tokens in batch:
                decoder.feed(tokens)
            if progress is not None:
                progress(min(1.0, batch[-1].start_s * sample_rate_hz / len(audio)))
        return decoder.finish()

    def _batches(self, audio: npt.NDArray[np.float32], sample_rate_hz: int) -> Iterator[list[Tokens]]:
        """What the network says of each segment of a batch, in order."""
        waiting = segments(resampled(audio, sample_rate_hz), self._preset.segment_frames)
        while some := list(islice(waiting, self._batch)):
            encoded = self._network.encode(self._log_mel(some, self._preset.segment_frames))
            said = decode(self._network, encoded, self._rule, self._preset.max_tokens)
            tokens = [self._vocabulary.indices_of_ids(chosen.ids) for chosen in said]
            yield [
                Tokens(segment.start_s, each, chosen.p[: len(each)])
                for segment, each, chosen in zip(some, tokens, said, strict=True)
            ]
