"""Tests of pixels.py: geometry, and colour against FFmpeg's scaler."""

from absl.testing import parameterized
import av
import numpy as np
import PIL.Image
import PIL.ImageOps
import tensorflow as tf

from train.data.decoding import pixels
from train.data.decoding import pyav_reader


def random_rgb(num, height, width, seed=0):
  rng = np.random.Generator(np.random.Philox(seed))
  return rng.integers(0, 256, [num, height, width, 3]).astype(np.uint8)


def smooth_rgb(height, width):
  """A picture with soft colours and an edge, like a photograph's."""
  y, x = np.mgrid[0 : 1 : height * 1j, 0 : 1 : width * 1j]
  waves = [np.sin(9 * x + 5 * y), np.sin(7 * y - 4 * x), np.cos(11 * x * y)]
  rgb = 128 + 100 * np.stack(waves, axis=-1)
  rgb[height // 3 : height // 2, width // 4 : width // 2] = [250, 20, 60]
  return rgb.astype(np.uint8)


class GeometryTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.parameters((64, 64), (60, 84), (144, 176), (90, 33), (20, 27))
  def test_is_the_area_mean_of_tf_image(self, height, width):
    frames = random_rgb(2, height, width)
    size = 32
    resized = [round(n * size / min(height, width)) for n in (height, width)]
    expected = tf.image.resize(
      frames.astype(np.float32), resized, method='area'
    )
    top, left = (resized[0] - size) // 2, (resized[1] - size) // 2
    expected = expected[:, top : top + size, left : left + size]
    actual = pixels.to_frames([frames], pixels.RGB, size)
    self.assertEqual(actual.dtype, tf.uint8)
    # TensorFlow's op rounds pixel edges to floats: hence not exact.
    self.assertAllClose(tf.cast(actual, tf.float32), expected, rtol=0, atol=0.6)

  def test_crops_the_centre(self):
    frames = np.zeros([1, 32, 96, 3], np.uint8)
    frames[:, :, 32:64] = 200
    self.assertAllEqual(
      pixels.to_frames([frames], pixels.RGB, 16), np.full([1, 16, 16, 3], 200)
    )

  def test_letterbox_shows_everything(self):
    frames = np.full([1, 32, 64, 3], 200, np.uint8)
    small = pixels.to_frames([frames], pixels.RGB, 16, crop='letterbox').numpy()
    self.assertAllEqual(
      small[0, :, 3].max(axis=-1), [0] * 4 + [200] * 8 + [0] * 4
    )
    tall = pixels.to_frames(
      [frames.swapaxes(1, 2)], pixels.RGB, 16, crop='letterbox'
    )
    self.assertAllEqual(tall, small.swapaxes(1, 2))

  def test_same_size_is_the_identity(self):
    frames = random_rgb(1, 16, 16)
    self.assertAllEqual(pixels.to_frames([frames], pixels.RGB, 16), frames)

  def test_wide_pixels_make_a_wide_picture(self):
    # Shown 2:1; the middle half of the columns is what the crop keeps.
    frames = np.zeros([1, 32, 32, 3], np.uint8)
    frames[:, :, 8:24] = 200
    small = pixels.to_frames([frames], pixels.RGB, 16, aspect=2.0)
    self.assertAllEqual(small, np.full([1, 16, 16, 3], 200))

  def test_box_is_cut_before_the_rest(self):
    frames = random_rgb(1, 40, 60)
    self.assertAllEqual(
      pixels.to_frames([frames], pixels.RGB, 8, box=24),
      pixels.to_frames([frames[:, 8:32, 18:42]], pixels.RGB, 8),
    )

  @parameterized.parameters(range(1, 9))
  def test_orientation(self, orientation):
    frames = random_rgb(1, 16, 16)
    shown = pixels.to_frames([frames], pixels.RGB, 16, orientation=orientation)
    image = PIL.Image.fromarray(frames[0])
    image.getexif()[0x112] = orientation
    self.assertAllEqual(shown[0], np.array(PIL.ImageOps.exif_transpose(image)))

  def test_one_channel_is_the_mean(self):
    frames = np.zeros([1, 8, 8, 3], np.uint8)
    frames[..., 0] = 240
    grey = pixels.to_frames([frames], pixels.RGB, 4, channels=1)
    self.assertAllEqual(grey, np.full([1, 4, 4, 1], 80))

  def test_grey(self):
    grey = random_rgb(1, 8, 8)[..., 0]
    rgb = pixels.to_frames([grey], pixels.Layout('grey'), 8)
    self.assertAllEqual(rgb, np.repeat(grey[..., None], 3, axis=-1))
    deep = grey.astype(np.uint16) * 4 + 3 * (grey > 127)
    rgb10 = pixels.to_frames([deep], pixels.Layout('grey', depth=10), 8)
    self.assertAllClose(rgb10, rgb, atol=1)


class GraphTest(tf.test.TestCase, parameterized.TestCase):
  @parameterized.product(
    shape=[(30, 40), (40, 30), (17, 9), (8, 8), (5, 3)],
    crop=['center', 'letterbox'],
    channels=[1, 3],
  )
  def test_are_those_of_to_frames(self, shape, crop, channels):
    frames = np.random.RandomState(0).randint(0, 256, [2, *shape, 3], np.uint8)
    found = pixels.frames_in_graph(tf.constant(frames), 8, channels, crop)
    expected = pixels.to_frames([frames], pixels.RGB, 8, channels, crop)
    self.assertEqual(found.shape, [2, 8, 8, channels])
    difference = np.abs(found.numpy().astype(int) - expected.numpy())
    self.assertLessEqual(difference.max(), 1)

  def test_the_right_size_is_left_alone(self):
    frames = np.random.RandomState(0).randint(0, 256, [9, 64, 64, 3], np.uint8)
    unknown = tf.function(
      lambda x: pixels.frames_in_graph(x, 64, 3),
      input_signature=[tf.TensorSpec([None, None, None, 3], tf.uint8)],
    )
    self.assertAllEqual(unknown(frames), frames)
    self.assertAllEqual(pixels.frames_in_graph(frames, 64, 3), frames)
    grey = frames[..., :1]
    self.assertAllEqual(pixels.frames_in_graph(grey, 64, 1), grey)
    self.assertAllEqual(
      pixels.frames_in_graph(grey, 64, 3), np.repeat(grey, 3, -1)
    )


class ExactTest(tf.test.TestCase, parameterized.TestCase):
  """What is compiled after some calls gives the same bits as what was not."""

  @parameterized.product(
    kind=('yuv', 'rgb', 'grey'),
    depth=(8, 10),
    size=(16, 12, 4),
    channels=(1, 3),
  )
  def test_later_calls_equal_the_first(self, kind, depth, size, channels):
    rng = np.random.Generator(np.random.Philox(0))
    dtype = np.uint8 if depth == 8 else np.uint16
    shapes = {
      'yuv': [(3, 64, 96), (3, 32, 48), (3, 32, 48)],
      'rgb': [(3, 64, 96, 3)],
      'grey': [(3, 64, 96)],
    }[kind]
    layout = pixels.Layout(kind, depth, full_range=False)
    clips = [
      [rng.integers(0, 2**depth, s).astype(dtype) for s in shapes]
      for _ in range(pixels._CALLS_BEFORE_COMPILING + 2)
    ]
    pixels._converter.cache_clear()
    later = [pixels.to_frames(c, layout, size, channels) for c in clips]
    for clip, frames in zip(clips[-2:], later[-2:]):
      pixels._converter.cache_clear()
      self.assertAllEqual(
        pixels.to_frames(clip, layout, size, channels), frames
      )
    self.assertEqual(frames.shape, [3, size, size, channels])

  @parameterized.parameters('yuv', 'rgb', 'grey')
  def test_no_product_is_rounded(self, kind):
    layout = pixels.Layout(kind, full_range=False)
    plane = (64, 64, 3) if kind == 'rgb' else (64, 64)
    converter = pixels._Converter(
      (plane, (32, 32)) if kind == 'yuv' else (plane,),
      layout,
      16,
      3,
      'center',
      1.0,
      1,
      None,
    )
    self.assertTrue(converter._is_exact)
    units = np.array(converter._matrix) * 2.0**40
    self.assertAllEqual(units, np.round(units))


class ColourTest(tf.test.TestCase, parameterized.TestCase):
  """Against libswscale's own area scaling of the same frame."""

  @parameterized.product(
    pixel_format=(
      'yuv420p',
      'yuv422p',
      'yuv444p',
      'yuv420p10le',
      'yuv422p10le',
      'yuv444p10le',
      'yuv411p',
      'yuva420p',
      'nv12',
      'p010le',
      'gray',
      'bgr24',
      'gbrp',
      'pal8',
    ),
    matrix=('ITU601', 'ITU709'),
    full_range=(False, True),
    shape=((256, 256), (135, 241)),
  )
  def test_as_ffmpeg(self, pixel_format, matrix, full_range, shape):
    is_yuv = pixel_format.startswith(('yuv', 'nv', 'p010'))
    if not is_yuv and (matrix != 'ITU601' or full_range):
      return  # They have no matrix.
    frame = encoded(smooth_rgb(*shape), pixel_format, matrix, full_range)
    size = 48
    expected = scaled_by_ffmpeg(frame, size)
    layout, planes = pyav_reader.layout_of(frame)
    self.assertEqual(layout.kind == 'yuv', is_yuv)
    planes = [p[np.newaxis] for p in planes()]
    actual = pixels.to_frames(planes, layout, size)[0].numpy()
    difference = np.abs(actual.astype(int) - expected)
    self.assertLess(difference.mean(), 2.0)
    self.assertLessEqual(np.percentile(difference, 99), 4.0)


def encoded(rgb, pixel_format, matrix, full_range):
  frame = av.VideoFrame.from_ndarray(rgb, format='rgb24')
  if pixel_format == 'pal8':
    indices = rgb[..., 0] // 32
    palette = np.zeros([256, 4], np.uint8)
    palette[:, 0], palette[:, 2] = 255, np.minimum(np.arange(256) * 32, 255)
    return av.VideoFrame.from_ndarray((indices, palette), format='pal8')
  if not pixel_format.startswith(('yuv', 'nv', 'p010')):
    return frame.reformat(format=pixel_format)
  frame = frame.reformat(
    format=pixel_format,
    dst_colorspace=matrix,
    dst_color_range='JPEG' if full_range else 'MPEG',
  )
  frame.colorspace = 1 if matrix == 'ITU709' else 5
  frame.color_range = 2 if full_range else 1
  return frame


def scaled_by_ffmpeg(frame, size):
  height, width = frame.height, frame.width
  short = min(height, width)
  scaled = [int(n * size / short + 0.5) for n in (width, height)]
  graph = av.filter.Graph()
  source = graph.add_buffer(
    width=width,
    height=height,
    format=frame.format.name,
    time_base='1/25',
  )
  flags = 'area+accurate_rnd+full_chroma_int'  # Else chroma is halved again.
  scale = graph.add('scale', f'{scaled[0]}:{scaled[1]}:flags={flags}')
  rgb = graph.add('format', 'rgb24')
  sink = graph.add('buffersink')
  graph.link_nodes(source, scale, rgb, sink).configure()
  graph.push(frame)
  picture = graph.pull().to_ndarray().astype(int)
  top, left = (scaled[1] - size) // 2, (scaled[0] - size) // 2
  return picture[top : top + size, left : left + size]


if __name__ == '__main__':
  tf.test.main()
