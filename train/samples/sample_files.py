"""Writes sampled videos as GIFs, MP4s and PNG strips."""

import io

from absl import logging
import numpy as np
from PIL import Image
from PIL import ImageDraw

from train import shown_text
from train.samples import mp4
from train.storage import files

__all__ = [
  'as_rgb',
  'encode_gif',
  'psnr',
  'save_comparison',
  'save_videos',
]

_SCALE = 4  # Frames are enlarged, without smoothing.
_MOST_PIXELS = 65535  # Width and height of a GIF.
_CAPTION = 16  # Height of the line of text above a row, pixels.


def save_videos(stem, videos, frames_per_second=8):
  """Writes videos as a GIF and an MP4, side by side, and a PNG, a row for each.

  Args:
    stem: Path without ending.
    videos: uint8 `[N, T, H, W, C]`, C 1 or 3.
    frames_per_second: Number, speed of GIF and MP4.

  Returns:
    List of the paths: the GIF, the PNG and, of more than one frame, the MP4.
  """
  videos = as_rgb(videos)
  strip = _enlarge(_strip(videos))
  return _save(stem, videos, strip, frames_per_second)


def save_comparison(stem, real, generated, captions=None, frames_per_second=8):
  """Writes real clips above generated ones: a GIF, an MP4 and a PNG strip.

  Args:
    stem: Path without ending.
    real: uint8 `[N, T, H, W, C]`.
    generated: uint8 `[N, T', H, W, C]`. The shorter of the two repeats its last
      frame.
    captions: List of N pairs of `str`, the words above the real and the
      generated video of the strip; None: no words.
    frames_per_second: Number, speed of GIF and MP4.

  Returns:
    List of the paths, see `save_videos`.
  """
  real, generated = as_rgb(real), as_rgb(generated)
  num_frames = max(real.shape[1], generated.shape[1])
  rows = [_hold(v, num_frames) for v in (real, generated)]
  above = np.concatenate(rows, axis=2)  # [N, T, 2 H, W, 3]
  pairs = np.stack(rows, axis=1).reshape(-1, *rows[0].shape[1:])
  strip = _enlarge(_strip(pairs))
  if captions is not None:
    strip = _captioned(strip, [text for pair in captions for text in pair])
  return _save(stem, above, strip, frames_per_second)


def psnr(real, generated):
  """PSNR in dB of uint8 frames `[..., H, W, C]`: `[...]`."""
  error = np.asarray(real, np.float64) - np.asarray(generated, np.float64)
  mse = np.mean(error**2, axis=(-3, -2, -1))
  return 10.0 * np.log10(255.0**2 / np.maximum(mse, 1e-10))


def as_rgb(videos):
  """Converts grey `[..., 1]` to `[..., 3]`; RGB is returned as it is."""
  videos = np.asarray(videos)
  return np.repeat(videos, 3, axis=-1) if videos.shape[-1] == 1 else videos


def encode_gif(images, frames_per_second):
  """Encodes Pillow images as a GIF that repeats: `bytes`."""
  first, *others = images
  gif = io.BytesIO()
  first.save(
    gif,
    format='GIF',
    save_all=True,
    append_images=others,
    loop=0,
    duration=round(1000 / frames_per_second),
  )
  return gif.getvalue()


def _hold(videos, num_frames):
  missing = num_frames - videos.shape[1]
  return np.concatenate(
    [videos, np.repeat(videos[:, -1:], missing, axis=1)], axis=1
  )


def _strip(videos):
  rows = [np.concatenate(list(v), axis=1) for v in videos]  # [H, T*W, 3]
  return np.concatenate(rows, axis=0)


def _captioned(strip, captions):
  """The strip with a line of text above each of its rows, a Pillow image."""
  width, height = strip.width, strip.height // len(captions)
  image = Image.new('RGB', (width, strip.height + _CAPTION * len(captions)))
  draw = ImageDraw.Draw(image)
  for number, text in enumerate(captions):
    top = number * (height + _CAPTION)
    draw.text((4, top + 2), shown_text.visible(text), fill='white')
    box = (0, number * height, width, (number + 1) * height)
    image.paste(strip.crop(box), (0, top + _CAPTION))
  return image


def _save(stem, videos, strip, frames_per_second):
  """Writes videos `[N, T, H, W, 3]` and a Pillow image; returns the paths."""
  png = io.BytesIO()
  strip.save(png, format='PNG')
  encoded = {
    'gif': _gif(stem, videos, frames_per_second),
    'png': png.getvalue(),
  }
  if videos.shape[1] > 1:
    encoded['mp4'] = _mp4(stem, videos, frames_per_second)
  for ending, data in encoded.items():
    files.write_atomically(f'{stem}.{ending}', data)
  return [f'{stem}.{ending}' for ending in encoded]


def _gif(stem, videos, frames_per_second):
  """The videos side by side: `bytes`."""
  movie = np.concatenate(list(videos), axis=2)  # [T, H, N*W, 3]
  most = _MOST_PIXELS // _SCALE
  if max(movie.shape[1:3]) > most:
    logging.warning('%s.gif shows a part: a GIF cannot be larger.', stem)
    movie = movie[:, :most, :most]
  return encode_gif([_enlarge(f) for f in movie], frames_per_second)


def _mp4(stem, videos, frames_per_second):
  """The videos in rows: `bytes`."""
  movie = mp4.grid(videos)
  if mp4.is_cut(movie):
    logging.warning('%s.mp4 shows a part: players take no larger MP4.', stem)
  frames = mp4.enlarged(movie, videos.shape[3])
  return mp4.encode(frames, frames_per_second)


def _enlarge(image):
  height, width = image.shape[:2]
  size = (width * _SCALE, height * _SCALE)
  return Image.fromarray(image).resize(size, Image.Resampling.NEAREST)
