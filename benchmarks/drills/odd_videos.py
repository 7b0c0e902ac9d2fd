"""Small files whose containers say more than their pictures.

Each file holds pictures that show their own number, as white and black cells,
and which way is up. So a test can tell which pictures a decoder gave, in which
order and how they were turned.
"""

from __future__ import annotations

import fractions
import struct

import av
import numpy as np

__all__ = [
  'ORIENTATIONS',
  'RATE',
  'SIDE',
  'change',
  'edit_list',
  'picture',
  'read',
  'replace_box',
  'turned',
  'with_matrix',
  'write',
]

RATE = 25
SIDE = 64
_CELLS = 8
_BITS = [(row, col) for row in (2, 3) for col in (1, 2, 3, 4)]

# By EXIF's number: a, b, c and d of the display matrix.
ORIENTATIONS = {
  1: (1, 0, 0, 1),
  2: (-1, 0, 0, 1),
  3: (-1, 0, 0, -1),
  4: (1, 0, 0, -1),
  5: (0, 1, 1, 0),
  6: (0, 1, -1, 0),
  7: (0, -1, -1, 0),
  8: (0, -1, 1, 0),
}


def picture(number):
  """A grey picture uint8 `[64, 64, 3]` that shows a number below 256."""
  cells = np.zeros([_CELLS, _CELLS], np.uint8)
  cells[0, : _CELLS // 2] = 1  # The left half of the top row.
  for bit, (row, col) in enumerate(_BITS):
    cells[row, col] = number >> bit & 1
  pixels = 16 + 208 * cells.repeat(SIDE // _CELLS, 0).repeat(SIDE // _CELLS, 1)
  return np.repeat(pixels[..., np.newaxis], 3, axis=-1).astype(np.uint8)


def turned(pixels, orientation):
  """How a picture `[h, w, ...]` of an EXIF orientation is to be shown."""
  shown = {
    1: lambda x: x,
    2: lambda x: x[:, ::-1],
    3: lambda x: x[::-1, ::-1],
    4: lambda x: x[::-1],
    5: lambda x: x.swapaxes(0, 1),
    6: lambda x: x[::-1].swapaxes(0, 1),
    7: lambda x: x[::-1, ::-1].swapaxes(0, 1),
    8: lambda x: x.swapaxes(0, 1)[::-1],
  }
  return shown[orientation](pixels)


def read(frame):
  """The number of a decoded picture, and the way it is turned.

  Args:
    frame: uint8 array `[h, w, c]`; h and w are multiples of 8.

  Returns:
    `(number, orientation)`, where `turned(picture(number), orientation)` is
    what the frame shows; None if it shows no such picture.
  """
  grey = frame.mean(axis=-1)
  height, width = (n // _CELLS for n in grey.shape)
  shape = [_CELLS, height, _CELLS, width]
  shown = grey.reshape(shape).mean(axis=(1, 3)) > 120
  for orientation in ORIENTATIONS:
    undo = {6: 8, 8: 6}.get(orientation, orientation)
    cells = turned(shown, undo)
    if cells[0].tolist() == [True] * 4 + [False] * 4 and not cells[-1].any():
      bits = [cells[place] for place in _BITS]
      return sum(int(b) << i for i, b in enumerate(bits)), orientation
  return None


def write(path, numbers, codec='libx264', times=None, **options):
  """Writes pictures of the numbers, 25 a second.

  Args:
    path: `str`; its ending chooses the container.
    numbers: Sequence of `int`.
    codec: `str`.
    times: The pictures' times in milliseconds, or None: equally far apart.
    **options: `pix_fmt`, `rate`, `side` (of the pictures), `rotation` (degrees,
      counter-clockwise), `container` (the muxer's options), and options of the
      encoder.
  """
  pix_fmt = options.pop('pix_fmt', 'yuv420p')
  rate, side = options.pop('rate', RATE), options.pop('side', SIDE)
  rotation = options.pop('rotation', 0)
  with av.open(path, 'w', options=options.pop('container', {})) as container:
    stream = container.add_stream(codec, rate=rate)
    # Otherwise the bytes would depend on the number of processors.
    stream.codec_context.thread_count = 1
    stream.width = stream.height = side
    stream.pix_fmt = pix_fmt
    stream.options = {k: str(v) for k, v in options.items()}
    if times is not None:
      stream.codec_context.time_base = fractions.Fraction(1, 1000)
    if rotation:
      stream.set_display_rotation(rotation)
    for k, number in enumerate(numbers):
      frame = av.VideoFrame.from_ndarray(picture(number), format='rgb24')
      frame = frame.reformat(side, side, pix_fmt)
      frame.pts, frame.time_base = k, fractions.Fraction(1, rate)
      if times is not None:
        frame.pts, frame.time_base = int(times[k]), fractions.Fraction(1, 1000)
      container.mux(stream.encode(frame))
    container.mux(stream.encode())


def change(path, function):
  """Replaces a file's bytes by a function of them."""
  with open(path, 'rb') as f:
    data = function(f.read())
  with open(path, 'wb') as f:
    f.write(data)


def edit_list(*entries):
  """The box `edts` of an MP4 file.

  Args:
    *entries: `(duration, start)`; the duration in the film's time scale, the
      start in that of the track, or -1: nothing is shown.
  """
  body = struct.pack('>II', 0, len(entries))
  body += b''.join(struct.pack('>IiI', *entry, 1 << 16) for entry in entries)
  return _box(b'edts', _box(b'elst', body))


def replace_box(data, names, new):
  """The bytes of an MP4 file with another box in the place of one.

  Args:
    data: `bytes`; the box `moov` is the last one.
    names: Sequence of `bytes`, the path of the box.
    new: `bytes`, the other box.
  """
  starts, start = [], 0
  for name in names:
    while data[start + 4 : start + 8] != name:
      start += _box_size(data, start)
    starts.append(start)
    start += 8
  *parents, last = starts
  old = _box_size(data, last)
  result = bytearray(data[:last] + new + data[last + old :])
  for start in parents:
    size = _box_size(data, start) + len(new) - old
    result[start : start + 4] = struct.pack('>I', size)
  return bytes(result)


def with_matrix(data, orientation):
  """The bytes of an MP4 file with the display matrix of an orientation."""
  old, new = _matrix(1), _matrix(orientation)
  start = data.index(old, data.index(b'tkhd'))
  return data[:start] + new + data[start + len(old) :]


def _matrix(orientation):
  a, b, c, d = (x << 16 for x in ORIENTATIONS[orientation])
  return struct.pack('>9i', a, b, 0, c, d, 0, 0, 0, 1 << 30)


def _box(name, body):
  return struct.pack('>I', 8 + len(body)) + name + body


def _box_size(data, start):
  return struct.unpack('>I', data[start : start + 4])[0]
