"""What the page answers to an upload and to a request for a video."""

from __future__ import annotations

import dataclasses
import pathlib
import re
import tempfile

import numpy as np
from PIL import Image

from train import errors
from train import failures
from train.play import player as player_lib
from train.play import uploads
from train.samples import mp4
from train.samples import sample_files

__all__ = ['Drawn', 'Request', 'Upload', 'draw', 'look', 'sentence']

MAX_SEED = 2**31 - 1
_FRAMES_PER_SECOND = 8  # As the samples of a run.


@dataclasses.dataclass(frozen=True, eq=False)
class Upload:
  """An uploaded picture or clip.

  Attributes:
    frames: uint8 `[T, H, W, C]`, as the model sees it.
    strip: uint8 `[H', W', 3]`, a picture of its first frames.
    probabilities: `dict` from label names to floats, or None.
    words: `str`, about it.
  """

  frames: np.ndarray
  strip: np.ndarray
  probabilities: dict | None
  words: str


@dataclasses.dataclass(frozen=True)
class Request:
  """What the page's fields hold; an empty field is None.

  Attributes:
    label: `int`, or None of a model without labels.
    num_frames: Number of frames, with the given ones.
    num_given: Number of frames of the upload to begin with.
    seed: `int`.
    temperature, min_p: `float`.
  """

  label: int | None
  num_frames: int | None
  num_given: int | None
  seed: int | None
  temperature: float | None
  min_p: float | None


@dataclasses.dataclass(frozen=True)
class Drawn:
  """A drawn video or image.

  Attributes:
    path: `str`, path of the MP4; of a model of images, of the PNG.
    words: `str`, about it.
  """

  path: str
  words: str


def look(player, path):
  """Looks at an uploaded file.

  Args:
    player: `Player`.
    path: Path of the file.

  Returns:
    An `Upload`.

  Raises:
    UploadError: if it cannot be decoded.
    PlayError: if the model refuses it.
  """
  frames, damage = uploads.read(path, player.config.data, player.max_frames)
  words = [_shown(len(frames)), damage]
  probabilities = None
  if player.classifies and (len(frames) > 1 or not player.has_tail):
    values = player.probabilities(frames)
    probabilities = dict(zip(player.label_names, map(float, values)))
    if len(frames) > player.num_scored:
      words.append(
        f'The probabilities are of its first {player.num_scored} frames, as '
        'many as a training clip has.'
      )
  elif player.classifies:
    words.append('The probabilities of labels need a clip, not one frame.')
  strip = uploads.strip(frames)
  return Upload(frames, strip, probabilities, ' '.join(filter(None, words)))


def _shown(num):
  if num == 1:
    return 'One frame, as the model sees it.'
  shown = min(num, uploads.STRIP_FRAMES)
  first = f', here the first {shown}' if shown < num else ''
  return f'{num} frames, as the model sees them{first}.'


def draw(player, folder, request, upload=None):
  """Draws a video into a new file.

  Args:
    player: `Player`.
    folder: Path of the folder for it.
    request: `Request`.
    upload: `Upload` to continue, or None.

  Returns:
    `Drawn`.

  Raises:
    PlayError: if a field is empty, or the model refuses the request.
  """
  for name, value in dataclasses.asdict(request).items():
    if value is None and _is_needed(player, name):
      raise player_lib.PlayError(f'{_NAMES[name]} is empty: enter a number.')
  given = None
  num_frames = int(request.num_frames) if player.has_tail else 1
  if upload is not None and player.has_tail:
    given = upload.frames[: int(request.num_given)]
    if num_frames <= len(given):
      raise player_lib.PlayError(
        f'The video is to have {num_frames} frames in all, but {len(given)} '
        'are given: ask for more frames, or give fewer.'
      )
  elif not player.has_head:
    raise player_lib.PlayError(
      'This model continues videos and cannot begin one: upload a first frame '
      'or a clip.'
    )
  frames = player.draw(
    request.label,
    int(request.seed),
    request.temperature,
    request.min_p,
    num_frames,
    given,
  )
  name = None if request.label is None else player.label_names[request.label]
  path = _write(player, folder, frames, name, request.seed)
  return Drawn(str(path), _about(num_frames, given, name, request.seed))


# The names of fields on the page.
_NAMES = {
  'num_frames': 'Frames in all',
  'num_given': 'Frames to begin with',
  'label': 'Label',
  'seed': 'Seed',
  'temperature': 'Temperature',
  'min_p': 'min-p',
}


def _is_needed(player, name):
  if name == 'label':
    return player.label_names is not None
  return player.has_tail or name not in ('num_frames', 'num_given')


def _about(num_frames, given, label, seed):
  of = '' if label is None else f' of {label}'
  if given is None:
    frames = 'one frame' if num_frames == 1 else f'{num_frames} frames'
    return f'{frames.capitalize()}{of}, seed {seed}.'
  yours = 'Frame 1 is yours'
  if len(given) > 1:
    yours = f'Frames 1 to {len(given)} are yours'
  return (
    f'{yours}, {len(given) + 1} to {num_frames} are drawn{of}, seed {seed}.'
  )


def _write(player, folder, frames, label, seed):
  """Writes an MP4, or of a model of images a PNG; returns its path."""
  parts = [] if label is None else [re.sub(r'\W+', '_', label)[:40]]
  stem = '_'.join([*parts, 'seed', str(seed)])
  path = pathlib.Path(tempfile.mkdtemp(dir=folder), stem)  # A name twice.
  large = mp4.enlarged(sample_files.as_rgb(frames), frames.shape[2])
  if player.has_tail:
    path = path.with_suffix('.mp4')
    path.write_bytes(mp4.encode(large, _FRAMES_PER_SECOND))
  else:
    path = path.with_suffix('.png')
    Image.fromarray(next(large)).save(path)
  return path


def sentence(error):
  """The sentence for the page about an error that is known, else None."""
  if isinstance(error, errors.UserError):
    return str(error)
  return failures.describe(error)
