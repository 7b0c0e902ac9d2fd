"""The page in a browser: headless Chromium, driven over its DevTools pipe."""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

from absl.testing import absltest
import numpy as np

from train.config import overrides
from train.config import presets
from train.report import figures
from train.report import page as page_lib
from train.report import sections
from train.storage import files
from train.storage import run_folder

_CHROMIUM = shutil.which('chromium') or shutil.which('chromium-browser')
_DESKTOP, _PHONE = (1280, 900), (390, 844)
_NASTY = '<img src=x onerror="alert(1)">&"\'{{ 7*7 }}$x^$'
_SECONDS = 60

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


class Browser:
  """A Chromium that listens on file descriptors: no port, no dependency."""

  def __init__(self, folder):
    to_browser, self._commands = os.pipe()
    self._answers, from_browser = os.pipe()

    def place():  # The browser reads descriptor 3 and writes 4.
      os.dup2(to_browser, 103)
      os.dup2(from_browser, 104)
      os.dup2(103, 3)
      os.dup2(104, 4)

    self._process = subprocess.Popen(
      [
        _CHROMIUM,
        '--headless=new',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-dev-shm-usage',
        '--no-first-run',
        '--remote-debugging-pipe',
        f'--user-data-dir={folder}',
        'about:blank',
      ],
      stdin=subprocess.DEVNULL,
      stdout=subprocess.DEVNULL,
      stderr=subprocess.DEVNULL,
      preexec_fn=place,
      close_fds=False,
    )
    os.close(to_browser)
    os.close(from_browser)
    self._buffer, self._number, self.events = b'', 0, []
    target = self.call('Target.createTarget', url='about:blank')['targetId']
    self._session = None
    self._session = self.call(
      'Target.attachToTarget', targetId=target, flatten=True
    )['sessionId']
    for domain in ('Page', 'Runtime', 'Log', 'Network'):
      self.call(f'{domain}.enable')

  def close(self):
    self._process.kill()
    self._process.wait()
    os.close(self._commands)
    os.close(self._answers)

  def call(self, method, **params):
    self._number += 1
    request = {'id': self._number, 'method': method, 'params': params}
    if getattr(self, '_session', None):
      request['sessionId'] = self._session
    os.write(self._commands, json.dumps(request).encode() + b'\0')
    while True:
      answer = self._read()
      if answer.get('id') == self._number:
        if 'error' in answer:
          raise RuntimeError(f'{method}: {answer["error"]}')
        return answer['result']
      self.events.append(answer)

  def _read(self):
    while b'\0' not in self._buffer:
      data = os.read(self._answers, 1 << 20)
      if not data:
        raise RuntimeError('Chromium has gone.')
      self._buffer += data
    message, _, self._buffer = self._buffer.partition(b'\0')
    return json.loads(message)

  def open(self, path, size, dark=False):
    """Shows a file; waits until everything in it is loaded."""
    self.events.clear()
    width, height = size
    self.call(
      'Emulation.setDeviceMetricsOverride',
      width=width,
      height=height,
      deviceScaleFactor=1,
      mobile=width < 600,
    )
    scheme = 'dark' if dark else 'light'
    self.call(
      'Emulation.setEmulatedMedia',
      features=[{'name': 'prefers-color-scheme', 'value': scheme}],
    )
    self.call('Page.navigate', url=pathlib.Path(path).resolve().as_uri())
    end = time.monotonic() + _SECONDS
    while self.evaluate('document.readyState') != 'complete':
      if time.monotonic() > end:
        raise TimeoutError(f'{path} is not loaded after {_SECONDS} s.')
      time.sleep(0.05)

  def evaluate(self, expression):
    result = self.call('Runtime.evaluate', expression=expression)['result']
    return result.get('value')

  def facts(self):
    return json.loads(self.evaluate(_FACTS))

  def complaints(self):
    """Console messages, exceptions and log entries."""
    kinds = (
      'Runtime.consoleAPICalled',
      'Runtime.exceptionThrown',
      'Log.entryAdded',
    )
    return [e for e in self.events if e.get('method') in kinds]

  def requests(self):
    """URLs that the page asked for, but those that hold their own data."""
    urls = [
      e['params']['request']['url']
      for e in self.events
      if e.get('method') == 'Network.requestWillBeSent'
    ]
    return [url for url in urls if not url.startswith('data:')]

  def screenshot(self):
    """The whole page as a PNG, base64."""
    return self.call(
      'Page.captureScreenshot', captureBeyondViewport=True, format='png'
    )['data']


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


@absltest.skipIf(_CHROMIUM is None, 'There is no Chromium on this machine.')
class BrowserTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    directory = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    cls.addClassCleanup(directory.cleanup)
    cls.root = pathlib.Path(directory.name)
    cls.browser = Browser(cls.root / 'profile')
    cls.addClassCleanup(cls.browser.close)
    workdir = cls.root / _NASTY.replace('/', '')
    write_run(workdir, [_NASTY, 'plain'])
    cls.report = page_lib.write([workdir])
    write_run(cls.root / 'other', ['a', 'b'])
    cls.comparison = page_lib.write([workdir, cls.root / 'other'])

  def _check(self, path, size, dark=False):
    self.browser.open(path, size, dark)
    facts = self.browser.facts()
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
      self.browser.open(path, _PHONE)
      return self.browser.facts(), self.browser.complaints()

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
    self.browser.open(path, _PHONE)
    self.assertLessEqual(self.browser.facts()['width'], _PHONE[0])


if __name__ == '__main__':
  sys.exit(absltest.main())
