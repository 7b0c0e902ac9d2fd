"""Tests of the page in a browser. They need Gradio and Chromium."""

import contextlib
import importlib.util
import json
import pathlib
import shutil
import socket

from absl.testing import absltest
import numpy as np
from PIL import Image

from tests import chromium
from tests.train.play import tiny_run
from train.config import overrides
from train.config import presets
from train.play import player as player_lib
from train.play import server

_DESKTOP, _PHONE = (1280, 800), (390, 844)
_HOST = '127.0.0.1'
_VIDEO = "document.querySelector('#drawn video')"
_IS_MISSING = (
  importlib.util.find_spec('gradio') is None or chromium.PATH is None
)
_REASON = 'Gradio or Chromium is missing.'


def _text(selector):
  """The JavaScript of an element's text, '' if there is none."""
  return f"(document.querySelector('{selector}')?.innerText.trim() ?? '')"


def _button(name):
  return f"""[...document.querySelectorAll('button')]
    .find(b => b.innerText.trim() == {json.dumps(name)})"""


def _option(name):
  return f"""[...document.querySelectorAll('[role=option]')]
    .find(o => o.innerText.includes({json.dumps(name)}))"""


class PageTest(absltest.TestCase):
  """What all page tests need; a test serves the player it needs."""

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.root = pathlib.Path(absltest.get_default_test_tmpdir(), cls.__name__)
    shutil.rmtree(cls.root, ignore_errors=True)
    cls.root.mkdir(parents=True)
    cls.browser = chromium.Browser(cls.root / 'profile')
    cls.addClassCleanup(cls.browser.close)

  @classmethod
  def serve(cls, player, stack):
    """Serves a player until the stack is closed; returns the URL."""
    with socket.socket() as free:
      free.bind((_HOST, 0))
      port = free.getsockname()[1]
    server.check(_HOST, port)
    page = server.serving(player, 'runs/a_b <run>', _HOST, port)
    return stack.enter_context(page)

  def open(self, url, size=_DESKTOP):
    self.browser.open(url, size)
    self.browser.settle(_button('Generate'))

  def generate(self, words):
    """Clicks; waits for the words about the video."""
    self.browser.click(_button('Generate'))
    self.wait_for('#drawn-words', words)

  def wait_for(self, selector, words):
    self.browser.wait(f'{_text(selector)}.includes({json.dumps(words)})')

  def is_shown(self, selector):
    element = f"document.querySelector('{selector}')"
    return self.browser.evaluate(f'!!{element}?.getClientRects().length')

  def check_requests(self, url):
    """Everything came from the page's own server, and nothing failed."""
    for request in self.browser.requests():
      self.assertStartsWith(request, url)
    for event in self.browser.complaints():
      self.assertNotEqual(event['method'], 'Runtime.exceptionThrown', event)


@absltest.skipIf(_IS_MISSING, _REASON)
class VideosTest(PageTest):
  """With a SavedModel that draws, continues and classifies videos."""

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    folder = tiny_run.make(cls.root / 'run')
    player = player_lib.load(folder.path)
    # First calls are slow: here, where nothing waits for them.
    given = player.draw(0, 0, 1.0, 0.0, 4)
    player.draw(0, 0, 1.0, 0.0, 4, given[:1])
    player.probabilities(given)
    stack = contextlib.ExitStack()
    cls.addClassCleanup(stack.close)
    cls.url = cls.serve(player, stack)
    cls.clip = cls.root / 'my clip.gif'
    images = [Image.new('RGB', (40, 30), (50 * k, 90, 9)) for k in range(4)]
    images[0].save(cls.clip, save_all=True, append_images=images[1:])
    cls.garbage = cls.root / 'garbage.gif'
    cls.garbage.write_bytes(b'no picture at all')

  def test_a_label_gives_a_video_that_plays(self):
    for size in (_DESKTOP, _PHONE):
      with self.subTest(size=size):
        self.open(self.url, size)
        self.assertFalse(self.is_shown('#drawn video'))
        self.browser.click("document.querySelector('#label input')")
        self.browser.wait(_option('right'))
        self.browser.click(_option('right'))
        self.generate('4 frames of right, seed 0.')
        self.browser.wait(f'{_VIDEO}?.readyState >= 3')
        self.assertEqual(self.browser.evaluate(f'{_VIDEO}.videoWidth'), 256)
        self.browser.wait(f'!{_VIDEO}.paused && {_VIDEO}.currentTime > 0')
        width = self.browser.evaluate('document.documentElement.scrollWidth')
        self.assertLessEqual(width, size[0])
        # The user sees it, on a phone below the fields.
        box = json.loads(
          self.browser.evaluate(
            f'JSON.stringify({_VIDEO}.getBoundingClientRect())'
          )
        )
        self.assertBetween(box['top'] + box['height'] / 2, 0, size[1])
        self.check_requests(self.url)

  def test_the_name_is_text(self):
    self.open(self.url)
    title = self.browser.evaluate('document.title')
    self.assertEqual(title, 'runs/a_b <run>: play')
    self.assertIn('runs/a_b <run>', self.browser.evaluate(_text('h1')))

  def test_a_new_seed_gives_another_video(self):
    self.open(self.url)
    self.generate('seed 0')
    self.browser.click(_button('New seed'))
    self.browser.wait(f'!{_text("#drawn-words")}.includes("seed 0")')
    seed = self.browser.evaluate("document.querySelector('#seed input').value")
    self.assertNotEqual(seed, '0')
    self.wait_for('#drawn-words', f'seed {seed}.')

  def test_an_upload_is_classified_and_continued(self):
    self.open(self.url)
    self.assertFalse(self.is_shown('#probabilities'))
    self.browser.give('#file input[type=file]', self.clip)
    self.wait_for('#upload-words', '4 frames, as the model sees them.')
    self.browser.wait("document.querySelector('#strip img')?.naturalWidth")
    self.wait_for('#probabilities', '%')
    for label in tiny_run.LABELS:
      self.assertIn(label, self.browser.evaluate(_text('#probabilities')))
    self.generate('Frame 1 is yours, 2 to 4 are drawn of left')
    self.browser.wait(f'{_VIDEO}?.readyState >= 3')
    self.check_requests(self.url)

  def test_a_broken_upload_gets_a_sentence(self):
    self.open(self.url)
    self.browser.give('#file input[type=file]', self.garbage)
    self.wait_for('#upload-words', 'Not used. garbage.gif cannot be used')
    self.assertFalse(self.is_shown('#strip'))
    self.assertFalse(self.is_shown('#probabilities'))
    self.generate('4 frames of left')  # The page goes on without it.


class _FakePlayer:
  """A player of grey 8x8 frames without a model."""

  path = pathlib.Path('export/3')
  label_names = None
  has_head = has_tail = True
  classifies = False
  max_frames, num_scored, num_seen = 9, 4, 2
  frame_shape = (8, 8, 1)
  config = overrides.override(
    presets.PRESETS['smoke'], ['data.frame_size=8', 'data.channels=1']
  )

  def __init__(self, **fields):
    vars(self).update(fields)

  def draw(self, label, seed, temperature, min_p, num_frames, given):
    del label, seed, temperature, min_p, given
    return np.full([num_frames, 8, 8, 1], 80, np.uint8)


@absltest.skipIf(_IS_MISSING, _REASON)
class OtherModelsTest(PageTest):
  """The page shows only what the model has."""

  def _open(self, **fields):
    stack = contextlib.ExitStack()
    self.addCleanup(stack.close)
    self.open(self.serve(_FakePlayer(**fields), stack))

  def test_without_labels(self):
    self._open()
    self.assertFalse(self.is_shown('#label'))
    self.assertTrue(self.is_shown('#num-frames'))
    self.assertTrue(self.is_shown('#file'))
    self.generate('4 frames, seed 0.')

  def test_without_a_head_it_asks_for_an_upload(self):
    self._open(has_head=False)
    self.generate('Not drawn. This model continues videos')
    path = self.root / 'frame.png'
    Image.new('L', (9, 9)).save(path)
    self.browser.give('#file input[type=file]', path)
    self.wait_for('#upload-words', 'One frame')
    self.generate('Frame 1 is yours, 2 to 4 are drawn, seed 0.')

  def test_of_images(self):
    self._open(has_tail=False, max_frames=1)
    self.assertFalse(self.is_shown('#num-frames'))
    self.assertFalse(self.is_shown('#file'))
    self.generate('One frame, seed 0.')
    self.browser.wait(
      "document.querySelector('#drawn img')?.naturalWidth == 256"
    )

  def test_a_fault_gets_a_sentence_and_a_traceback(self):
    def fail(*_):
      raise KeyError('a fault')

    self._open(draw=fail)
    with self.assertLogs('absl', 'ERROR') as logs:
      self.generate("Not drawn. A fault of this program (KeyError('a fault'))")
    self.assertIn('in fail', logs.output[0])  # The traceback.


if __name__ == '__main__':
  absltest.main()
