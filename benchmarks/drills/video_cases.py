"""The torture set: files of `odd_videos`, and what is right for each."""

from __future__ import annotations

import dataclasses
import fractions
import functools
from typing import Callable
from typing import Optional

import av
import numpy as np
import PIL.Image

from benchmarks.drills import odd_videos

__all__ = ['Case', 'cases']


@dataclasses.dataclass(frozen=True)
class Case:
  """A file and what is right for it.

  Attributes:
    name: `str`, the file's name.
    make: Function of a path that writes it.
    shown: List of the numbers of its pictures, in the order shown.
    timed: The same at 25 frames a second; None: as `shown`.
    orientation: `int`, EXIF's number of how the pictures are turned.
    reason: `str`, why nothing is read, or why pictures are missing; or ''.
    timed_reason: `str`, the same at 25 frames a second.
  """

  name: str
  make: Callable[[str], None]
  shown: list[int]
  timed: Optional[list[int]] = None
  orientation: int = 1
  reason: str = ''
  timed_reason: str = ''

  @property
  def at_25(self):
    return self.shown if self.timed is None else self.timed


def cases():
  """List of all `Case`s."""
  return [
    *_edited(),
    *_oriented(),
    *_stamped(),
    *_without_times(),
    *_streams(),
    *_damaged(),
    *_pictures(),
  ]


_ALL = list(range(40))
_PLAIN = {'bf': 2, 'g': 10}
_MEDIA_START = 1024  # Media time of the first picture, delayed for B-frames.
_PICTURE = 512  # Media time of one picture.


def _plain(path, numbers=_ALL, **options):
  odd_videos.write(path, numbers, **{**_PLAIN, **options})


def _edited():
  """MP4 files with edit lists: (milliseconds, first picture or None)."""

  def case(name, edits, shown, timed=None):
    make = lambda path: _edit(path, edits)
    return Case(f'edit_{name}.mp4', make, shown, timed)

  return [
    case('none', [(1600, 0)], _ALL),
    case('start', [(1200, 10)], _ALL[10:]),
    case('between_key_frames', [(400, 13)], _ALL[13:23]),
    case('end', [(600, 0)], _ALL[:15]),
    case('middle', [(400, 0), (400, 20)], _ALL[:10] + _ALL[20:30]),
    case('backwards', [(400, 20), (400, 0)], _ALL[20:30] + _ALL[:10]),
    case('twice', [(400, 0), (400, 0)], _ALL[:10] * 2),
    case('empty_start', [(1000, None), (1600, 0)], _ALL),
  ]


def _edit(path, edits):
  _plain(path)
  entries = [
    (length, -1 if first is None else _MEDIA_START + first * _PICTURE)
    for length, first in edits
  ]
  edts = odd_videos.edit_list(*entries)
  names = (b'moov', b'trak', b'edts')
  odd_videos.change(
    path, lambda data: odd_videos.replace_box(data, names, edts)
  )


def _oriented():
  for number in odd_videos.ORIENTATIONS:
    yield Case(
      f'orientation_{number}.mp4',
      functools.partial(_orient_mp4, orientation=number),
      _ALL,
      orientation=number,
    )
    for ending in ('jpg', 'png', 'tiff', 'webp', 'avif'):
      yield Case(
        f'orientation_{number}.{ending}',
        functools.partial(_orient_picture, orientation=number),
        [77],
        [77] * 25 if ending == 'avif' else None,  # A still lasts a second.
        orientation=number,
      )
  for number in (3, 6, 8):
    yield Case(
      f'orientation_{number}.mkv',
      functools.partial(_orient_mkv, orientation=number),
      _ALL,
      orientation=number,
    )


def _orient_mp4(path, orientation):
  _plain(path)
  odd_videos.change(path, lambda x: odd_videos.with_matrix(x, orientation))


def _orient_mkv(path, orientation):
  rotation = {3: 180, 6: -90, 8: 90}[orientation]
  _plain(path, rotation=rotation)


def _orient_picture(path, orientation):
  exif = PIL.Image.Exif()
  exif[0x112] = orientation
  lossless = {'lossless': True} if path.endswith('webp') else {}
  PIL.Image.fromarray(odd_videos.picture(77)).save(path, exif=exif, **lossless)


def _stamped():
  """Files with odd times; pictures are 40 ms apart but for these."""
  shift = lambda k, step: [40 * i + step * (i >= k) for i in _ALL]
  late, days = shift(20, 400), shift(39, 24 * 3600 * 1000)
  twice = [40 * (i - (i == 20)) for i in _ALL]
  keep = {'avoid_negative_ts': 'disabled'}
  case = lambda name, times, timed=None, reason='': Case(
    name,
    functools.partial(
      odd_videos.write, numbers=_ALL, times=times, g=10, bf=0, container=keep
    ),
    _ALL,
    timed,
    timed_reason=reason,
  )
  slow = [0, 40, 80, 240, 280, 300, 310, 320, 400]
  return [
    case('gap.mkv', late, _ALL[:19] + [19] * 11 + _ALL[20:]),
    case('gap_of_a_day.mkv', days, [], 'gap in its times'),
    case('gap_of_a_day.mp4', days, [], 'gap in its times'),
    case('negative.mkv', shift(0, -400)),
    # The edit list that the muxer writes begins at time 0.
    dataclasses.replace(case('negative.mp4', shift(0, -400)), shown=_ALL[10:]),
    case('duplicate.mkv', twice, _ALL[:19] + [20, 20] + _ALL[21:]),
    Case(
      'variable_rate.mkv',
      functools.partial(
        odd_videos.write, numbers=_ALL[:9], times=slow, g=10, bf=0
      ),
      _ALL[:9],
      [0, 1, 2, 2, 2, 2, 3, 4, 7, 7, 8],
    ),
    Case('two_recordings.ts', _two_recordings, _ALL * 2),
  ]


def _two_recordings(path):
  _plain(path)
  odd_videos.change(path, lambda data: data + data)


def _without_times():
  """Containers that do not say when a picture is shown."""
  mpeg2 = functools.partial(_plain, codec='mpeg2video')
  return [
    Case('b_frames.avi', _plain, _ALL),
    Case('mpeg4.avi', functools.partial(_plain, codec='mpeg4'), _ALL),
    Case('raw.h264', _plain, _ALL),
    Case('raw_50.h264', functools.partial(_plain, rate=50), _ALL, _ALL[::2]),
    Case('raw.m2v', mpeg2, _ALL),
    Case('dvd.vob', mpeg2, _ALL),
    Case('b_frames.ts', _plain, _ALL),
    Case('b_frames.flv', _plain, _ALL),
    Case('b_frames.mkv', _plain, _ALL),
  ]


def _streams():
  return [
    Case('two_streams.mkv', _two_streams, _ALL),
    Case('cover.mp3', _cover, [], reason='no video stream'),
    Case('size_changes.h264', _size_changes, _ALL),
    Case('size_changes.ts', _size_changes, _ALL),
  ]


def _two_streams(path):
  """A small stream, then the large one that players show."""
  with av.open(path, 'w') as container:
    rate = odd_videos.RATE
    streams = [container.add_stream('libx264', rate=rate) for _ in range(2)]
    for stream, side in zip(streams, (odd_videos.SIDE // 2, odd_videos.SIDE)):
      stream.width = stream.height = side
      stream.pix_fmt = 'yuv420p'
      stream.disposition = av.stream.Disposition(0)
    for k in _ALL:
      for stream, number in zip(streams, (255 - k, k)):
        size = stream.width, stream.height
        frame = _frame(number).reformat(*size, 'yuv420p')
        frame.pts, frame.time_base = k, fractions.Fraction(1, rate)
        container.mux(stream.encode(frame))
    for stream in streams:
      container.mux(stream.encode())


def _cover(path):
  with av.open(path, 'w') as container:
    audio = container.add_stream('libmp3lame', rate=16000)
    video = container.add_stream('mjpeg', rate=odd_videos.RATE)
    video.width = video.height = odd_videos.SIDE
    video.pix_fmt = 'yuvj420p'
    video.disposition = av.stream.Disposition.attached_pic
    frame = _frame(1)
    container.mux(video.encode(frame.reformat(format='yuvj420p')))
    container.mux(video.encode())
    sound = av.AudioFrame(format='s16p', layout='mono', samples=1152)
    sound.rate = 16000
    for plane in sound.planes:
      plane.update(bytes(plane.buffer_size))
    container.mux(audio.encode(sound))
    container.mux(audio.encode())


def _size_changes(path):
  """Half of the pictures in another size."""
  parts = []
  for numbers, side in (
    (_ALL[:20], odd_videos.SIDE),
    (_ALL[20:], 2 * odd_videos.SIDE),
  ):
    _plain(path, numbers, side=side)
    with open(path, 'rb') as f:
      parts.append(f.read())
  odd_videos.change(path, lambda data: b''.join(parts))


def _damaged():
  moov = dict(movflags='faststart')
  return [
    Case(
      'moov_missing.mp4',
      _cut_moov,
      [],
      reason='no frames',
    ),
    Case(
      'cut.mp4',
      functools.partial(_cut, container=moov),
      _ALL[:18],
      reason='ends early',
    ),
    Case(
      'cut.mkv',
      _cut,
      _ALL[:20],
      reason='ends early',
    ),
    Case('damaged.mp4', _damage, _ALL[:9], reason='ends early'),
    *(
      Case(
        f'empty_packets.{ending}',
        _empty_packets,
        _ALL[:5] + _ALL[7:],
        _ALL[:5] + [4, 4] + _ALL[7:],
      )
      for ending in ('mp4', 'avi', 'mkv')
    ),
  ]


def _cut(path, **options):
  """Half a file of pictures in packets of about the same size."""
  odd_videos.write(path, _ALL, codec='mjpeg', pix_fmt='yuvj420p', **options)
  odd_videos.change(path, lambda data: data[: len(data) // 2])


def _cut_moov(path):
  _plain(path)
  odd_videos.change(path, lambda data: data[:-600])


def _frame(number):
  picture = odd_videos.picture(number)
  return av.VideoFrame.from_ndarray(picture, format='rgb24')


def _damage(path):
  """Zeros in the place of the tenth picture."""
  odd_videos.write(path, _ALL, bf=0, g=40)
  with av.open(path) as container:
    spans = [(p.pos, p.size) for p in container.demux(video=0) if p.size]
  start, size = spans[9]

  def zeroed(data):
    return data[:start] + bytes(size) + data[start + size :]

  odd_videos.change(path, zeroed)


def _empty_packets(path):
  """The packets of two pictures are empty."""
  with av.open(path, 'w') as container:
    stream = container.add_stream('mjpeg', rate=odd_videos.RATE)
    stream.width = stream.height = odd_videos.SIDE
    stream.pix_fmt = 'yuvj420p'
    for k in _ALL:
      frame = _frame(k)
      for packet in stream.encode(frame.reformat(format='yuvj420p')):
        if k in (5, 6):
          full, packet = packet, av.Packet(0)
          packet.stream, packet.time_base = stream, full.time_base
          packet.pts, packet.dts = full.pts, full.dts
          packet.duration = full.duration
        container.mux(packet)


def _pictures():
  """Animations and stills."""
  return [
    Case('animation.gif', _animation, _ALL[:5], [0, 1, 1, 2, 2, 2, 3, 4]),
    Case('animation.webp', _animation, _ALL[:5], [0, 1, 1, 2, 2, 2, 3, 4]),
    Case('animation.png', _animation, _ALL[:5], [0, 1, 1, 2, 2, 2, 3, 4]),
    *(
      Case(f'{mode.replace(";", "_")}.{ending}', _still(mode), [77])
      for mode, ending in (
        ('CMYK', 'jpg'),
        ('L', 'jpg'),
        ('L', 'png'),
        ('I;16', 'png'),
        ('P', 'png'),
        ('1', 'png'),
        ('RGBA', 'png'),
        ('RGBA', 'webp'),
        ('LA', 'png'),
      )
    ),
  ]


def _animation(path):
  first, *rest = [PIL.Image.fromarray(odd_videos.picture(k)) for k in range(5)]
  durations = [40, 80, 120, 40, 40]
  options = {'lossless': True} if path.endswith('webp') else {}
  first.save(
    path, save_all=True, append_images=rest, duration=durations, **options
  )


def _still(mode):
  def make(path):
    image = PIL.Image.fromarray(odd_videos.picture(77))
    if mode == 'I;16':
      image = PIL.Image.fromarray(
        odd_videos.picture(77)[..., 0].astype(np.uint16) * 257
      )
    image = image if mode == 'I;16' else image.convert(mode)
    image.save(path)

  return make
