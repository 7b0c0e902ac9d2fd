"""Videos of moving shapes, rendered and encoded as MP4, for tests and offline.

A video's appearance (shape, colours, place, speed) and its motion are drawn
from the video's own random numbers; the label fixes one of them, or both
shape and motion. Objects wrap around the edges, so that they stay visible and
their places have the same distribution in every frame.
"""

from __future__ import annotations

import colorsys
import dataclasses
import json
import os

import av
import numpy as np

from train.config import strict_json
from train.data import sources
from train.storage import files

__all__ = [
  'BACKGROUNDS',
  'COMPASS',
  'PALETTE',
  'RADII',
  'SHAPES',
  'SPEEDS',
  'VARIANTS',
  'direction',
  'inside',
  'label_names',
  'render',
  'shapes_source',
  'write_shapes',
  'write_video',
]

VARIANTS = (
  'shapes',
  'shapes:motion',
  'shapes:appearance',
  'shapes:occluder',
  'shapes:blink',
)
# Variants with an event at a fixed time: a video is one clip.
_TIMED = ('shapes:occluder', 'shapes:blink')
SHAPES = ('circle', 'square', 'triangle')
PALETTE = tuple(colorsys.hsv_to_rgb(hue / 6, 0.8, 1.0) for hue in range(6))
# Ranges of a grey, of lengths and of lengths per frame.
BACKGROUNDS = (0.1, 0.3)
RADII = (0.14, 0.2)
SPEEDS = (0.05, 0.08)
COMPASS = {
  'east': 0,
  'southeast': 45,
  'south': 90,
  'southwest': 135,
  'west': 180,
  'northwest': 225,
  'north': 270,
  'northeast': 315,
}  # Degrees, clockwise: y points down.
_STRAIGHT = ('east', 'north', 'south', 'west')
_MARKER = 'shapes.json'
_FPS = 12
_SUPERSAMPLE = 4
_MOSAIC = 8  # Tiles on a side of the blinking background.
_GRAIN = 16  # Tiles on a side of the noise in the dark.


@dataclasses.dataclass(frozen=True)
class _Scene:
  """The scene of a video; lengths are in units of the frame's side."""

  shape: str
  color: tuple[float, float, float]
  background: float | np.ndarray  # Or [size, size, 3].
  radius: float
  place: tuple[float, float]  # x, y of frame 0.
  speed: float  # Distance per frame.
  motion: str


def label_names(variant):
  """The labels of a variant, sorted.

  Args:
    variant: `str`, one of `VARIANTS`.

  Returns:
    List of `str`; for the variants in order 12 pairs of motion and shape, 8
    motions, 3 shapes, 4 motions and 4 motions.

  Raises:
    ValueError: if the variant is unknown.
  """
  if variant not in VARIANTS:
    near = sources.near_names(variant, VARIANTS)
    raise ValueError(f'Unknown shapes variant {variant!r}: {near}')
  return sorted(
    {
      'shapes': [f'{motion}_{s}' for motion in _STRAIGHT for s in SHAPES],
      'shapes:motion': COMPASS,
      'shapes:appearance': SHAPES,
      'shapes:occluder': _STRAIGHT,
      'shapes:blink': _STRAIGHT,
    }[variant]
  )


def shapes_source(
  variant,
  num_frames,
  root=None,
  valid_fraction=0.2,
  videos_per_label=40,
  size=64,
  split_seed=0,
):
  """A shapes set, rendered on first use.

  Videos are twice as long as a clip; those of 'shapes:occluder' and
  'shapes:blink' are as long as a clip.

  Args:
    variant: `str`, one of `VARIANTS`.
    num_frames: `int`, number of frames of a clip.
    root: `str`, the folder in which sets are created, or `None`: `shapes` in
      `sources.default_cache_dir()`.
    valid_fraction: `float`, fraction held out.
    videos_per_label: `int`.
    size: `int`, height and width of the videos in pixels.
    split_seed: `int`.

  Returns:
    A `Source`.

  Raises:
    DataError: if the set cannot be written.
  """
  label_names(variant)
  length = num_frames * (1 if variant in _TIMED else 2)
  name = f'{variant.replace(":", "_")}-{videos_per_label}x{length}x{size}'
  root = os.path.join(sources.set_folder('shapes', root), name)
  write_shapes(root, variant, videos_per_label, length, size, seed=0)
  source = sources.folder_source(
    root, num_frames, valid_fraction, split_seed, name=variant
  )
  known = lambda part: tuple(
    dataclasses.replace(region, stop=length) for region in part
  )
  return dataclasses.replace(
    source, train=known(source.train), valid=known(source.valid)
  )


def write_shapes(root, variant, videos_per_label, num_frames, size=64, seed=0):
  """Writes `<root>/<label>/<number>.mp4` atomically, unless they exist.

  Args:
    root: `str`, a folder that does not exist, is empty or holds this set.
    variant: `str`, one of `VARIANTS`.
    videos_per_label: `int`.
    num_frames: `int`, number of frames of a video.
    size: `int`, height and width in pixels.
    seed: `int` >= 0; equal seeds give equal bytes.

  Raises:
    DataError: if `root` holds something else or cannot be written.
  """
  parameters = {
    'variant': variant,
    'videos_per_label': videos_per_label,
    'num_frames': num_frames,
    'size': size,
    'seed': seed,
    'version': 1,
  }
  names = label_names(variant)
  if _is_written(root, parameters):
    return
  try:
    with files.replacing(os.path.abspath(root)) as tree:
      for label, name in enumerate(names):
        (tree / name).mkdir(parents=True)
        for number in range(videos_per_label):
          frames = render(
            variant, name, num_frames, size, [seed, label, number]
          )
          write_video(str(tree / name / f'{number:04d}.mp4'), frames)
      (tree / _MARKER).write_text(json.dumps(parameters, indent=2), 'utf-8')
  except OSError as e:
    if not _is_written(root, parameters):  # Another process was faster.
      raise sources.DataError(f'Cannot write shapes to {root}: {e}') from None


def render(variant, label_name, num_frames, size, seed):
  """Renders the frames of one video.

  Args:
    variant: `str`, one of `VARIANTS`.
    label_name: `str`, one of `label_names(variant)`.
    num_frames: `int`.
    size: `int`, pixels.
    seed: Sequence of `int` >= 0. With 'shapes:motion', frame 0 depends on the
      seed alone.

  Returns:
    uint8 array `[num_frames, size, size, 3]`.
  """
  rng = np.random.Generator(np.random.Philox(np.random.SeedSequence(seed)))
  scene = _draw_scene(rng)
  if variant in ('shapes:motion', *_TIMED):
    scene = dataclasses.replace(scene, motion=label_name)
  elif variant == 'shapes:appearance':
    scene = dataclasses.replace(scene, shape=label_name)
  else:
    motion, shape = label_name.split('_')
    scene = dataclasses.replace(scene, motion=motion, shape=shape)
  if variant == 'shapes:blink':
    frames = _blink(scene, rng, num_frames, size)
  else:
    frame = _occluded_frame if variant == 'shapes:occluder' else _frame
    frames = [frame(scene, t, num_frames, size) for t in range(num_frames)]
  return np.rint(255 * np.stack(frames)).astype(np.uint8)


def _draw_scene(rng):
  return _Scene(
    shape=str(rng.choice(SHAPES)),
    color=PALETTE[rng.integers(6)],
    background=rng.uniform(*BACKGROUNDS),
    radius=rng.uniform(*RADII),
    place=tuple(rng.uniform(size=2)),
    speed=rng.uniform(*SPEEDS),
    motion=str(rng.choice(list(COMPASS))),
  )


def _frame(scene, t, num_frames, size):
  del num_frames
  x, y = np.array(scene.place) + t * scene.speed * direction(scene.motion)
  return _paint(scene, x, y, size)


def _occluded_frame(scene, t, num_frames, size):
  """A small object passes behind a bar that hides all of it at half time."""
  scene = dataclasses.replace(scene, radius=0.7 * scene.radius)
  dx, dy = direction(scene.motion)
  along = (0.5 - scene.radius) * (2 * t / max(1, num_frames - 1) - 1)
  across = (0.5 - scene.radius) * (2 * scene.place[0] - 1)
  frame = _paint(
    scene, 0.5 + along * dx - across * dy, 0.5 + along * dy + across * dx, size
  )
  half = (scene.radius + 0.06) * size
  bar = slice(int(0.5 * size - half), int(np.ceil(0.5 * size + half)))
  frame[(slice(None), bar) if dx else bar] = 0.6
  return frame


def _blink(scene, rng, num_frames, size):
  """A scene that is lit for two frames, then dark for two, and so on.

  A model that sees two frames has forgotten the scene when the light returns.
  Dark frames are noise: a model would predict constant frames so sharply that
  their gradients would dominate all others.
  """
  background = _tiles(rng.uniform(0.1, 0.7, size=[_MOSAIC, _MOSAIC, 3]), size)
  scene = dataclasses.replace(scene, background=background)
  return [
    _frame(scene, t, num_frames, size)
    if t % 4 < 2
    else _tiles(rng.uniform(0.0, 0.2, size=[_GRAIN, _GRAIN, 3]), size)
    for t in range(num_frames)
  ]


def _tiles(colors, size):
  """Colours `[n, n, 3]` as tiles of a frame `[size, size, 3]`."""
  tile = np.arange(size) * len(colors) // size
  return colors[tile[:, None], tile]


def direction(motion):
  """The unit vector (x, y) of one of `COMPASS`; y points down."""
  angle = np.deg2rad(COMPASS[motion])
  return np.round([np.cos(angle), np.sin(angle)], 6)


def _paint(scene, x, y, size):
  """A frame `[size, size, 3]` in [0, 1], edges smoothed by supersampling."""
  fine = size * _SUPERSAMPLE
  pixels = (np.arange(fine) + 0.5) / fine
  dx = (pixels - x + 0.5) % 1.0 - 0.5
  dy = (pixels - y + 0.5) % 1.0 - 0.5
  covered = inside(scene.shape, dx / scene.radius, dy[:, None] / scene.radius)
  covered = covered.reshape([size, _SUPERSAMPLE, size, _SUPERSAMPLE])
  covered = covered.mean(axis=(1, 3))[..., None]
  return scene.background + covered * (np.array(scene.color) - scene.background)


def inside(shape, x, y):
  """Whether points are inside the unit shape; y points down."""
  if shape == 'circle':
    return x**2 + y**2 < 1
  if shape == 'square':
    return np.maximum(abs(x), abs(y)) < 0.8
  return (y < 0.8) & (2 * abs(x) < y + 1)


def write_video(path, frames):
  """Writes an MP4 file: H.264, 4:4:4, a fixed quantiser, one thread.

  With these options the bytes are deterministic, and frame 0 does not depend on
  later frames (rate control would look ahead).

  Args:
    path: `str`.
    frames: uint8 array `[T, H, W, 3]`.
  """
  with av.open(path, 'w') as container:
    stream = container.add_stream('libx264', rate=_FPS)
    stream.height, stream.width = frames.shape[1:3]
    stream.pix_fmt = 'yuv444p'
    stream.options = {'qp': '8', 'preset': 'fast', 'threads': '1'}
    for frame in frames:
      frame = av.VideoFrame.from_ndarray(frame, format='rgb24')
      container.mux(stream.encode(frame))
    container.mux(stream.encode())


def _is_written(root, parameters):
  if not os.path.isdir(root) or not os.listdir(root):
    return False
  try:
    with open(os.path.join(root, _MARKER), encoding='utf-8') as f:
      found = strict_json.parse(f.read(), f.name)
  except (OSError, ValueError):
    found = 'something else'
  if found != parameters:
    raise sources.DataError(
      f'Expected {root} to be empty or to hold {parameters}, found {found}.'
    )
  return True
