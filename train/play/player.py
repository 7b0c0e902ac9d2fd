"""`Player`: draws and classifies videos with the SavedModel of a run."""

from __future__ import annotations

import dataclasses
import pathlib
import re

import numpy as np
import tensorflow as tf

from tfp_cglow.internal import plain_paths
from train import errors
from train.config import configs
from train.config import models
from train.serving import export
from train.serving import request_checks
from train.storage import label_names
from train.storage import run_folder

__all__ = ['PlayError', 'Player', 'load']

_WORDS = re.compile(r'assertion failed: \[(.*?)\](?: \[([^\[\]]*)\]+)?$', re.M)


class PlayError(errors.UserError):
  """What the page cannot do; the message is shown on it."""


@dataclasses.dataclass(frozen=True, eq=False)
class Player:
  """A SavedModel, and how its run draws videos.

  Attributes:
    path: `pathlib.Path` of the SavedModel.
    config: `Config` of its run.
    model: What `tf.saved_model.load` returned.
    label_names: Tuple of `str`, or None: it takes no label.
  """

  path: pathlib.Path
  config: configs.Config
  model: tf.Module
  label_names: tuple | None

  @property
  def signatures(self):
    """`dict` from names to functions, see `signatures.build_signatures`."""
    return self.model.signatures

  @property
  def frame_shape(self):
    """`[H, W, C]`, of one frame."""
    return self._inputs('log_prob')['frames'].shape[2:].as_list()

  @property
  def has_head(self):
    """Whether it can begin a video."""
    return 'sample' in self.signatures

  @property
  def has_tail(self):
    """Whether it can continue a video; if not, it draws images."""
    return 'continue' in self.signatures

  @property
  def classifies(self):
    return 'classify' in self.signatures

  @property
  def max_frames(self):
    """Most frames of a video, Python `int`."""
    if not self.has_tail:
      return 1
    most = self.config.model.export_max_frames
    return request_checks.Limits.max_frames if most is None else most

  @property
  def num_scored(self):
    """Most frames of a clip that `probabilities` looks at: a training clip."""
    return min(self.config.data.num_frames, self.max_frames)

  @property
  def num_seen(self):
    """How many frames the tail sees, and so the fewest to continue well."""
    return self.config.model.tail.previous_frames if self.has_tail else 1

  def draw(self, label, seed, temperature, min_p, num_frames=1, given=None):
    """Draws one video.

    Args:
      label: Python `int`; ignored by a model without labels.
      seed: Python `int`, 0 to 2**31 - 1.
      temperature: Python `float`.
      min_p: Python `float`.
      num_frames: Python `int`, with the given frames.
      given: uint8 `[T, H, W, C]`, the first frames, or None.

    Returns:
      uint8 `[num_frames, H, W, C]`.

    Raises:
      PlayError: if the model refuses this, with its words.
    """
    request = {
      'seed': np.array([[0, seed]], np.int32),
      'temperature': np.array([temperature], np.float32),
      'min_p': np.array([min_p], np.float32),
      'num_frames': np.array([num_frames], np.int32),
    }
    if self.label_names is not None:
      request['labels'] = np.array([label], np.int32)
    if given is None:
      return self._call('sample', request)['frames'][0]
    request['frames'] = given[np.newaxis]
    return self._call('continue', request)['frames'][0]

  def probabilities(self, frames):
    """The probability of each label for the first `num_scored` frames.

    Args:
      frames: uint8 `[T, H, W, C]`, T at least 2 if the model has a tail.

    Returns:
      float `[num_labels]`.

    Raises:
      PlayError: if the model refuses this, with its words.
    """
    scored = frames[np.newaxis, : self.num_scored]
    return np.exp(self._call('classify', {'frames': scored})['log_probs'][0])

  def _inputs(self, name):
    return self.signatures[name].structured_input_signature[1]

  def _call(self, name, inputs):
    tensors = {k: tf.constant(v) for k, v in inputs.items()}
    try:
      outputs = self.signatures[name](**tensors)
    except tf.errors.InvalidArgumentError as e:
      raise PlayError(f'The model refuses: {_words(e.message)}.') from e
    return {k: v.numpy() for k, v in outputs.items()}


def load(workdir):
  """Loads the newest SavedModel of a run.

  Args:
    workdir: Path of the run.

  Returns:
    A `Player`.

  Raises:
    RunFolderError: if there is no run.
    PlayError: if the run has no SavedModel, or it cannot be loaded.
  """
  folder = run_folder.RunFolder(workdir)
  config = folder.read_config()
  if not isinstance(config.model, models.Flow):
    raise PlayError(
      f'--mode=play shows SavedModels, which flows have, but {workdir} holds a '
      'GAN.'
    )
  version = export.newest_version(folder.exports)
  if version is None:
    raise PlayError(
      f'{workdir} has no export: expected a SavedModel in {folder.exports}. '
      f'Write one with --mode=export --workdir={workdir}.'
    )
  path = folder.exports / str(version)
  return Player(path, config, *_load(path))


def _load(path):
  """A SavedModel, and its label names or None."""
  try:
    model = tf.saved_model.load(plain_paths.plain(path))
  except (OSError, ValueError, tf.errors.OpError) as e:
    raise PlayError(
      f'{path} cannot be loaded ({_words(str(e))}). Write another export with '
      '--mode=export.'
    ) from e
  signatures = getattr(model, 'signatures', {})
  if 'log_prob' not in signatures:
    raise PlayError(
      f'Expected a SavedModel of this program, but {path} has the signatures '
      f'{sorted(signatures)}.'
    )
  if 'labels' not in signatures['log_prob'].structured_input_signature[1]:
    return model, None
  file = path / 'assets' / 'labels.txt'
  return model, label_names.from_bytes(file.read_bytes(), file)


def _words(message):
  """The words of a check in the graph, or the first line of a message."""
  found = _WORDS.search(message)
  if found:
    return ' '.join(filter(None, found.groups()))
  return (message.splitlines() or [''])[0]
