"""The page in a browser."""

import json
import pathlib
import sys
import tempfile

from absl.testing import absltest
import numpy as np

from tests import chromium
from train.config import overrides
from train.config import presets
from train.report import figures
from train.report import page as page_lib
from train.report import sections
from train.storage import files
from train.storage import run_folder

_DESKTOP, _PHONE = (1280, 900), (390, 844)
_NASTY = '<img src=x onerror="alert(1)">&"\'{{ 7*7 }}$x^$'

# What a test asks the page for.
_FACTS = """JSON.stringify({
  images: [...document.images].map(i => [i.complete, i.naturalWidth]),
  width: document.documentElement.scrollWidth,
  text: document.body.innerText,
  title: document.title,
  scripts: document.scripts.length,
  outside: [...document.querySelectorAll('[src],[srcset],[href]')]
    .map(e => e.getAttribute('src') || e.getAttribute('srcset')
         || e.getAttribute('href'))
    .filter(u => !u.startsWith('data:') && !u.startsWith('#')),
  tooSmall: [...document.querySelectorAll('p,td,th,a,figcaption,summary')]
    .filter(e => parseFloat(getComputedStyle(e).fontSize) < 12).length,
})"""


def write_run(workdir, label_names):
  """A folder as a run has left it, without a checkpoint."""
  folder = run_folder.RunFolder(workdir)
  folder.create()
  config = overrides.override(
    presets.PRESETS['smoke'], ['data.data_dir=nowhere']
  )
  folder.claim(config)
  folder.write_labels(label_names)
  for step in range(2, 8, 2):
    folder.append_metrics(
      'train',
      step,
      loss=9.0 - step,
      head_bits_per_dim=5.0 - 0.1 * step,
      tail_bits_per_dim=4.0 - 0.1 * step,
      labels_gradient_norm=0.1 * step,
      skipped_steps=float(step == 4),
      spikes=float(step == 4),
    )
  folder.write_metrics(
    {
      'step': config.run.steps,
      'head_bits_per_dim': 4.4,
      'tail_bits_per_dim': 3.4,
      'head_bits_per_dim_by_label': dict.fromkeys(label_names, 4.4),
      'tail_bits_per_dim_by_frame': [3.5, 3.3, 3.4],
      'label_entropy_bits': 1.0,
      'label_information_bits': 0.5,
      'calibrated_label_information_bits': 0.7,
      'label_accuracy': 0.8,
      'label_confusion': [[4, 1], [1, 4]],
    }
  )
  videos = np.random.default_rng(0).integers(0, 256, [3, 8, 8, 3], np.uint8)
  image = figures.gif(videos, 'a video')
  files.write_atomically(folder.samples / f'{_NASTY[:4]}.gif', image.data)
  row = {'path': _NASTY, 'reason': 'decode', 'message': _NASTY}
  folder.skipped_log.write_text(json.dumps(row) + '\n')
  return folder


@absltest.skipIf(chromium.PATH is None, 'There is no Chromium on this machine.')
class BrowserTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    directory = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    cls.addClassCleanup(directory.cleanup)
    cls.root = pathlib.Path(directory.name)
    cls.browser = chromium.Browser(cls.root / 'profile')
    cls.addClassCleanup(cls.browser.close)
    workdir = cls.root / _NASTY.replace('/', '')
    write_run(workdir, [_NASTY, 'plain'])
    cls.report = page_lib.write([workdir])
    write_run(cls.root / 'other', ['a', 'b'])
    cls.comparison = page_lib.write([workdir, cls.root / 'other'])

  def _open(self, path, size, dark=False):
    self.browser.open(path.resolve().as_uri(), size, dark)

  def _facts(self):
    return json.loads(self.browser.evaluate(_FACTS))

  def _check(self, path, size, dark=False):
    self._open(path, size, dark)
    facts = self._facts()
    self.assertEqual(self.browser.complaints(), [])
    self.assertEqual(self.browser.requests(), [path.resolve().as_uri()])
    self.assertNotEmpty(facts['images'])
    for is_complete, width in facts['images']:
      self.assertTrue(is_complete)
      self.assertGreater(width, 0)
    self.assertLessEqual(facts['width'], size[0])
    self.assertEqual(facts['scripts'], 0)
    self.assertEqual(facts['outside'], [])
    self.assertEqual(facts['tooSmall'], 0)
    return facts

  def test_a_run(self):
    for size in (_DESKTOP, _PHONE):
      for dark in (False, True):
        with self.subTest(size=size, dark=dark):
          facts = self._check(self.report, size, dark)
          self.assertIn('What is missing', facts['text'])

  def test_a_comparison(self):
    for size in (_DESKTOP, _PHONE):
      with self.subTest(size=size):
        facts = self._check(self.comparison, size)
        self.assertIn('other', facts['text'])

  def test_markup_in_data_is_text(self):
    facts = self._check(self.report, _DESKTOP)
    self.assertEqual(facts['title'], _NASTY)
    self.assertGreaterEqual(facts['text'].count(_NASTY), 4)

  def test_the_browser_would_notice(self):
    # What `_check` looks for, on pages that have it.
    def facts_of(html):
      path = self.root / 'broken.html'
      path.write_text(html)
      self._open(path, _PHONE)
      return self._facts(), self.browser.complaints()

    facts, complaints = facts_of('<img src=nowhere.png><p>text')
    self.assertEqual([w for _, w in facts['images']], [0])
    self.assertNotEmpty(complaints)
    facts, _ = facts_of(
      '<meta name=viewport content="width=device-width">'
      '<div style="width: 900px">wide</div>'
    )
    self.assertGreater(facts['width'], _PHONE[0])

  def test_wide_content_scrolls_in_itself(self):
    words = 'x' * 300
    wide = sections.Table([words] * 9, [[words] * 9], words)
    made = [sections.Section('a', words, [wide, sections.Code(words)])]
    path = self.root / 'wide.html'
    page = page_lib.Page(words, words, made, [])
    path.write_text(page_lib.render(page), 'utf-8')
    self._open(path, _PHONE)
    self.assertLessEqual(self._facts()['width'], _PHONE[0])


if __name__ == '__main__':
  sys.exit(absltest.main())
