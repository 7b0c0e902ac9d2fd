import io
from xml.etree import ElementTree

from absl.testing import absltest
import numpy as np
from PIL import Image

from train.report import figures

_NASTY = '<script>&"$x^$\\frac'


class FiguresTest(absltest.TestCase):
  def _plot(self):
    def draw(panel):
      panel.plot([0, 1], [1e-3, 1e3], label=_NASTY)
      panel.set_yscale('log')
      panel.legend()

    return figures.plot(draw, 'alt')

  def test_text_of_plots_is_text(self):
    root = ElementTree.fromstring(self._plot().data)
    texts = [''.join(e.itertext()) for e in root.iter() if 'text' in e.tag]
    self.assertIn(_NASTY, texts)
    self.assertEmpty([e for e in root.iter() if e.tag.endswith('script')])
    self.assertContainsSubset(['0.001', '1000'], texts)

  def test_plots_are_the_same_each_time(self):
    self.assertEqual(self._plot().data, self._plot().data)

  def test_plots_have_a_dark_form(self):
    image = self._plot()
    self.assertIn(figures.INK.encode(), image.data)
    self.assertStartsWith(image.dark_uri, 'data:image/svg+xml;base64,')
    self.assertNotEqual(image.dark_uri, image.uri)
    frames = np.zeros([1, 2, 2, 1], np.uint8)
    self.assertIsNone(figures.picture(frames, '').dark_uri)

  def test_style_stays_inside(self):
    import matplotlib

    before = dict(matplotlib.rcParams)
    self._plot()
    self.assertEqual(dict(matplotlib.rcParams), before)

  def test_picture_has_the_frames_pixels(self):
    frames = np.arange(2 * 3 * 4 * 3, dtype=np.uint8).reshape(2, 3, 4, 3)
    image = Image.open(io.BytesIO(figures.picture(frames, 'alt').data))
    np.testing.assert_array_equal(
      np.asarray(image), np.concatenate(list(frames), axis=1)
    )

  def test_gif_plays_all_frames(self):
    frames = np.zeros([5, 4, 4, 1], np.uint8)
    frames[:] = 50 * np.arange(5).reshape(-1, 1, 1, 1)
    image = Image.open(io.BytesIO(figures.gif(frames, 'alt').data))
    self.assertEqual(image.n_frames, 5)
    self.assertEqual(image.info['loop'], 0)
    for t in range(5):
      image.seek(t)
      self.assertEqual(image.convert('L').getpixel((1, 1)), 50 * t)
    self.assertEqual(figures.gif(frames[:1], 'alt').kind, 'png')

  def test_shortened(self):
    self.assertEqual(figures.shortened('a\nb'), 'a b')
    self.assertLen(figures.shortened('a' * 99), 28)
    # Matplotlib leaves out of legends what begins so.
    self.assertFalse(figures.shortened('_run').startswith('_'))


if __name__ == '__main__':
  absltest.main()
