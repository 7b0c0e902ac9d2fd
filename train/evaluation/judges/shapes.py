"""The judge of `moving_shapes`, which knows how they are rendered.

A frame is right if it shows exactly one object, in one colour of the palette,
of the label's shape, and nothing else. A video is right through a frame if all
frames up to it are, their colour and shape are those of the first frame, and
each step goes the label's way at a speed of the set.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from train.data.sets import moving_shapes
from train.evaluation.judges import base
from train.evaluation.judges import shape_fit

__all__ = ['MAX_MISFIT', 'VARIANTS', 'ShapesJudge', 'Verdicts']

VARIANTS = ('shapes', 'shapes:motion', 'shapes:appearance')

# A deformed shape that is still recognised. A circle is 0.02 to 0.03 from a
# square at 16 pixels, 0.06 at 32, but then the square fits better.
MAX_MISFIT = 0.05
# Largest values of real frames at 8 and 5 bits, 16 to 64 pixels: colours and
# backgrounds differ by 10 levels, coverages by 0.15, radii by 0.005 from the
# set's, and steps turn by 0.005. A pixel of the outline may be off by more, as
# the eye allows, but a pixel that is missing or full is a hole or a spike.
_LEVELS = 40.0
_GREY_LEVELS = 12.0
_WORST = 0.85
_RADII = (moving_shapes.RADII[0] - 0.01, moving_shapes.RADII[1] + 0.01)
_ACROSS = 0.02
_SPEEDS = (moving_shapes.SPEEDS[0] - 0.02, moving_shapes.SPEEDS[1] + 0.02)
_LARGEST_ANGLE = np.deg2rad(22.5)  # Half way to the next motion.
_FIRST_STEPS = 3  # They show the motion of a video whose label does not.


@dataclasses.dataclass(frozen=True)
class Verdicts:
  """Bool arrays about N videos of T frames.

  Attributes:
    no_object, one_object, several_objects: `[N, T]`.
    one_colour: `[N, T]`; has a meaning if there is an object.
    right_shape: `[N, T]`, whether it is the label's (without a label, any
      shape); has a meaning if there is one object, as has `nothing_else`.
    nothing_else: `[N, T]`, whether the rest is background.
    right: `[N, T]`, all of these.
    right_through: `[N, T]`, whether the video is right up to this frame.
    moves: `[N]`, whether two frames in succession have one object each.
    right_direction: `[N]`, whether the object moves the label's way on the
      whole; has a meaning if it `moves`.
  """

  no_object: np.ndarray
  one_object: np.ndarray
  several_objects: np.ndarray
  one_colour: np.ndarray
  right_shape: np.ndarray
  nothing_else: np.ndarray
  right: np.ndarray
  right_through: np.ndarray
  moves: np.ndarray
  right_direction: np.ndarray


class ShapesJudge(base.Judge):
  """Judges videos of moving shapes.

  `shapes:motion` may show any shape, and `shapes:appearance` may move any way,
  if the video keeps to it. The labels of mirrored clips are not mirrored.
  """

  def __init__(self, variant='shapes', label_names=None, max_misfit=MAX_MISFIT):
    """Creates the judge.

    Args:
      variant: One of `VARIANTS`.
      label_names: Sequence of `str`, names of the labels 0, 1, ...; None: all
        of the variant.
      max_misfit: Float, the largest `Fits.misfit` of a right shape.

    Raises:
      ValueError: if there is no judge of the variant, or a name is not one of
        its labels.
    """
    known = moving_shapes.label_names(variant)
    if variant not in VARIANTS:
      raise ValueError(
        f'Expected one of {", ".join(VARIANTS)}, got {variant}: its frames '
        'hide the object or have no even background, which no judge knows.'
      )
    label_names = known if label_names is None else list(label_names)
    for name in label_names:
      if name not in known:
        raise ValueError(f'{name!r} is not a label of {variant}: {known}.')
    parts = [set(name.split('_')) for name in label_names]
    self.name = variant
    self._max_misfit = max_misfit
    self._shapes = _known(parts, moving_shapes.SHAPES)
    self._motions = _known(parts, moving_shapes.COMPASS)

  def judge(self, videos, labels=None, num_given=0):
    """See `Judge.judge`.

    Returns:
      `dict`: num_videos, num_given; `first_frames` and `frames`, rates of the
      first and of all frames that are not given (no_object, one_object,
      several_objects and right of all frames; one_colour of those with an
      object; right_shape and nothing_else of those with exactly one);
      `frames_right_at` and `videos_right_through`, rates by number of frames;
      and `right_direction`, of videos whose object can be followed.

    Raises:
      ValueError: if the videos cannot be judged, or no frame is left.
    """
    found = self.verdicts(videos, labels)
    num_frames = found.right.shape[1]
    if not 0 <= num_given < num_frames:
      raise ValueError(
        f'Expected num_given in [0, {num_frames}), got {num_given}.'
      )
    ends = [h for h in base.horizons(num_frames) if h > num_given]
    return {
      'num_videos': len(found.right),
      'num_given': num_given,
      'first_frames': _frame_rates(found, slice(num_given, num_given + 1)),
      'frames': _frame_rates(found, slice(num_given, None)),
      'frames_right_at': {
        str(h): base.rate(found.right[:, h - 1]) for h in ends
      },
      'videos_right_through': {
        str(h): base.rate(found.right_through[:, h - 1]) for h in ends
      },
      'right_direction': base.rate(found.right_direction, found.moves),
    }

  def marks(self, videos, labels=None):
    found = self.verdicts(videos, labels)
    return found.right.astype(int) + found.right_through

  def verdicts(self, videos, labels=None):
    """Judges each frame and video.

    Args:
      videos: uint8 `[N, T, S, S, 3]`, S >= `shape_fit.MIN_SIZE`.
      labels: int `[N]`, or None.

    Returns:
      `Verdicts`.

    Raises:
      ValueError: if shapes, types or labels are not as expected.
    """
    videos = np.asarray(videos)
    if videos.ndim != 5:
      raise ValueError(f'Expected videos [N, T, S, S, 3], got {videos.shape}.')
    fits = _fit_videos(videos)
    shape, motion = self._expected(fits, labels)
    flags = _frame_flags(fits, shape, self._max_misfit)
    followed = flags['one_object'] & flags['right_shape']
    steps = _Steps(fits.place, motion)
    kept = (fits.color == fits.color[:, :1]) & (fits.shape == fits.shape[:, :1])
    moved = np.pad(steps.right, [(0, 0), (1, 0)], constant_values=True)
    through = np.logical_and.accumulate(flags['right'] & kept & moved, axis=1)
    is_step = followed[:, 1:] & followed[:, :-1]
    return Verdicts(
      **flags,
      right_through=through,
      moves=is_step.any(axis=1),
      right_direction=steps.right_on_the_whole(is_step),
    )

  def _expected(self, fits, labels):
    """Shapes int `[N, 1]`, -1: any, and unit vectors of motion `[N, 1, 2]`."""
    vectors = np.array([*map(moving_shapes.direction, moving_shapes.COMPASS)])
    num_videos = len(fits.shape)
    shape = motion = np.full([num_videos], -1)
    if labels is not None:
      labels = np.asarray(labels)
      if labels.shape != (num_videos,):
        raise ValueError(
          f'Expected {num_videos} labels, got the shape {labels.shape}.'
        )
      shape, motion = self._shapes[labels], self._motions[labels]
    first = _steps(fits.place)[:, :_FIRST_STEPS].sum(axis=1)  # [N, 2]
    shown = (first @ vectors.T).argmax(axis=1)
    motion = np.where(motion < 0, shown, motion)
    return shape[:, None], vectors[motion][:, None]


def _known(parts, names):
  """The index of the name that is among each label's parts; -1: none is."""
  names = list(names)
  return np.array([next(map(names.index, p & set(names)), -1) for p in parts])


def _fit_videos(videos):
  """`shape_fit.fit`, with arrays `[N, T, ...]`."""
  fits = shape_fit.fit(videos.reshape([-1, *videos.shape[2:]]))
  lead = videos.shape[:2]
  return shape_fit.Fits(
    **{
      field.name: value.reshape([*lead, *value.shape[1:]])
      for field in dataclasses.fields(fits)
      for value in [getattr(fits, field.name)]
    }
  )


def _frame_flags(fits, shape, max_misfit):
  """The arrays of `Verdicts` that need one frame only."""
  low, high = (255.0 * level for level in moving_shapes.BACKGROUNDS)
  background = fits.background
  is_grey = np.ptp(background, axis=-1) <= _GREY_LEVELS
  is_grey &= (background >= low - _GREY_LEVELS).all(axis=-1)
  is_grey &= (background <= high + _GREY_LEVELS).all(axis=-1)
  is_shape = fits.misfit.min(axis=-1) <= max_misfit
  is_shape &= fits.worst <= _WORST
  is_shape &= (fits.radius >= _RADII[0]) & (fits.radius <= _RADII[1])
  is_shape &= (shape < 0) | (fits.shape == shape)
  flags = {
    'no_object': fits.num_objects == 0,
    'one_object': fits.num_objects == 1,
    'several_objects': fits.num_objects > 1,
    'one_colour': fits.color_error <= _LEVELS,
    'right_shape': is_shape,
    'nothing_else': is_grey & (fits.stray <= _LEVELS),
  }
  parts = ('one_object', 'one_colour', 'right_shape', 'nothing_else')
  flags['right'] = np.logical_and.reduce([flags[name] for name in parts])
  return flags


def _steps(place):
  """The shortest ways between places `[N, T, 2]`: `[N, T - 1, 2]`."""
  return (np.diff(place, axis=1) + 0.5) % 1.0 - 0.5


class _Steps:
  """Steps along and across the right motion, `[N, T - 1]`."""

  def __init__(self, place, motion):
    steps = _steps(place)
    self._along = (steps * motion).sum(axis=-1)
    turned = motion[..., ::-1] * [1.0, -1.0]
    self._across = (steps * turned).sum(axis=-1)

  @property
  def right(self):
    """Whether each step has the right direction and speed."""
    least, most = _SPEEDS
    is_right = (self._along >= least) & (self._along <= most)
    return is_right & (np.abs(self._across) <= _ACROSS)

  def right_on_the_whole(self, is_step):
    """Whether the mean of the steps that count has the right direction."""
    count = np.maximum(is_step.sum(axis=1), 1)
    along = (self._along * is_step).sum(axis=1) / count
    across = np.abs((self._across * is_step).sum(axis=1) / count)
    return (along >= _SPEEDS[0]) & (across <= np.tan(_LARGEST_ANGLE) * along)


def _frame_rates(found, frames):
  """Rates of the frames in a slice: `dict`."""
  part = {
    name: getattr(found, name)[:, frames]
    for name in (
      'no_object',
      'one_object',
      'several_objects',
      'one_colour',
      'right_shape',
      'nothing_else',
      'right',
    )
  }
  judged = {
    'one_colour': ~part['no_object'],
    'right_shape': part['one_object'],
    'nothing_else': part['one_object'],
  }
  return {
    name: base.rate(values, judged.get(name)) for name, values in part.items()
  }
