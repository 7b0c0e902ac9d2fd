"""Writes numbers and videos for TensorBoard."""

import contextlib

from absl import logging
import numpy as np
from PIL import Image
import tensorflow as tf

from tfp_cglow.internal import plain_paths
from train import failures
from train.samples import sample_files

__all__ = ['TensorBoardLog']

# The format of `tf.summary.image`; TensorBoard recognises GIFs by content.
_IMAGES = tf.compat.v1.SummaryMetadata(
  plugin_data=tf.compat.v1.SummaryMetadata.PluginData(plugin_name='images')
)


class TensorBoardLog:
  """Writes summaries; close it, or use it in a `with`.

  If they cannot be written, for example to a full disk, a warning says so once,
  and nothing more is written: training goes on.
  """

  def __init__(self, folder, is_chief=True):
    """Opens a file of events.

    Args:
      folder: Path.
      is_chief: Python `bool`; other workers write nothing.
    """
    self._folder = str(folder)
    self._writer = None
    if is_chief:
      with self._going_on():
        self._writer = tf.summary.create_file_writer(plain_paths.plain(folder))

  def __enter__(self):
    return self

  def __exit__(self, kind, error, traceback):
    self.close()

  def close(self):
    if self._writer is not None:
      with self._going_on():
        self._writer.close()

  def scalars(self, prefix, values, step):
    """Writes numbers as `prefix/name`, or `prefix/name/name`.

    Args:
      prefix: `str`.
      values: `dict` of floats, `dict`s of floats, and None, which is left out.
      step: Python `int`.
    """
    if self._writer is not None:
      with self._going_on(), self._writer.as_default(step=step):
        _write_scalars(prefix, values)

  def videos(self, prefix, make_videos, step, frames_per_second=8):
    """Writes videos as strips and, if they have several frames, as GIFs.

    Args:
      prefix: `str`; the tags are `prefix/name/strip` and `prefix/name/video`.
      make_videos: Function that returns a `dict` from names to uint8
        `[N, T, H, W, C]`, C 1 or 3. Only the chief calls it.
      step: Python `int`.
      frames_per_second: Number, speed of the GIFs.
    """
    if self._writer is None:
      return
    videos = make_videos()
    with self._going_on(), self._writer.as_default(step=step):
      for name, clips in videos.items():
        clips = np.asarray(clips)
        strip = np.concatenate([np.hstack(c) for c in clips])  # [N*H, T*W, C]
        tf.summary.image(f'{prefix}/{name}/strip', strip[np.newaxis])
        if clips.shape[1] > 1:
          _write_gif(f'{prefix}/{name}/video', clips, frames_per_second)

  @contextlib.contextmanager
  def _going_on(self):
    """Within, an error of the system ends the log, and nothing else."""
    try:
      yield
    except (tf.errors.OpError, OSError) as e:
      self._writer = None
      logging.warning(
        'No more is written for TensorBoard to %s: %s',
        self._folder,
        failures.describe(e) or e,
      )


def _write_scalars(prefix, values):
  for name, value in values.items():
    if isinstance(value, dict):
      _write_scalars(f'{prefix}/{name}', value)
    elif value is not None:
      tf.summary.scalar(f'{prefix}/{name}', value)


def _write_gif(tag, clips, frames_per_second):
  movie = np.concatenate(list(clips), axis=2)  # [T, H, N*W, C]
  if movie.shape[-1] == 1:
    movie = movie[..., 0]
  images = [Image.fromarray(frame) for frame in movie]
  gif = sample_files.encode_gif(images, frames_per_second)
  size = [str(d).encode() for d in images[0].size]
  tf.summary.write(tag, [*size, gif], metadata=_IMAGES)
