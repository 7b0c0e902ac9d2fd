"""`Timeline`: when the pictures of a file are shown, from its packets."""

from __future__ import annotations

import dataclasses

import numpy as np

__all__ = ['Timeline', 'of_packets']


@dataclasses.dataclass(frozen=True, eq=False)
class Timeline:
  """The times of a file's pictures, in the order in which they are shown.

  Attributes:
    stamps: float64 `[n]`, sorted presentation times in the stream's time base,
      by which a seek finds a picture; NaN if they do not tell pictures apart.
    seconds: float64 `[n]`, seconds after the first picture.
    length: `float`, seconds for which the last picture is shown.
  """

  stamps: np.ndarray
  seconds: np.ndarray
  length: float

  def __len__(self):
    return len(self.seconds)

  @property
  def can_seek(self):
    return not np.isnan(self.stamps).any()

  def span(self, index):
    """The time in seconds and the duration of picture `index`."""
    last = len(self) - 1
    if index >= last:
      return self.seconds[last] + (index - last) * self.length, self.length
    return self.seconds[index], self.seconds[index + 1] - self.seconds[index]


def of_packets(packets, time_base, rate):
  """The times of the pictures of some packets.

  The k-th picture that is shown has the k-th smallest presentation time. If the
  decoding times go back, several recordings follow one another, and each begins
  one picture after the one before. Without times, pictures are equally long.

  Args:
    packets: Sequence of `(pts, dts, duration)`, in the order of the file.
    time_base: `float`, seconds of a unit of these numbers.
    rate: `float`, pictures a second where the file does not say it.

  Returns:
    A `Timeline`.
  """
  columns = np.array(packets, np.float64).reshape([-1, 3]).T
  pts, dts, durations = columns  # None is NaN.
  num, length = len(pts), 1 / rate
  if not num or np.isnan(pts).any():
    return Timeline(np.full(num, np.nan), np.arange(num) * length, length)
  last = durations[np.argmax(pts)] * time_base
  length = last if last > 0 else length
  stamps = np.sort(pts)
  seconds = (stamps - stamps[0]) * time_base
  if (np.diff(dts) < 0).any():
    seconds, stamps = _joined(dts * time_base, 1 / rate), stamps * np.nan
  return Timeline(stamps, seconds, length)


def _joined(seconds, length):
  """Times after the first; each step back becomes a step of `length`."""
  steps = np.diff(seconds)
  steps = np.where(steps < 0, length, np.nan_to_num(steps, nan=length))
  return np.concatenate([[0.0], np.cumsum(steps)])
