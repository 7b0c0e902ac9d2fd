"""Odd names of folders, files and labels, in every mode and every file."""

import functools
import io
import json
import os
import pathlib
import shutil
import tempfile
import unittest.mock
import warnings

from absl.testing import parameterized
import numpy as np
from PIL import Image
import tensorflow as tf

from train import commands
from train.ablation import child_runs
from train.data import inputs as inputs_lib
from train.data import skip_log
from train.data import sources
from train.data.decoding import decode
from train.data.decoding import readers
from train.data.records import prepare as prepare_lib
from train.data.records import records
from train.data.sets import images
from train.loop import session
from train.report import page
from train.report import run_data
from train.runs import loading
from train.runs import weights
from train.serving import model_card
from train.serving import sample_export
from train.storage import files
from train.storage import label_names
from train.storage import reading
from train.storage import run_folder
from train.systems.flow import models

_FOLDERS = {
  'brackets': b'c[1]',
  'globs': b'a*b?{c}\\',
  'counts': b'50%03d#',
  'separators': b'a:b,c',
  'not_utf8': b'caf\xe9',
  'dash': b'-dash',
  'line_ends': 'a\nb\u2028c'.encode(),
  'wide': '猫 😀$x$'.encode(),
}
# Modes that take seconds run on one folder of each kind of fault.
_SLOW = ('brackets', 'not_utf8')
_LABELS = (
  *(' lead', '#1', '$x$', '-dash', '0', '<b>&amp;', '[x]', '_x_', '`|', 'a,b'),
  *('a:b', 'a\\n', 'e\u0301', 'trail ', '\u202eevil', '猫 😀', 'é', 'q\'"'),
)
_REFUSED = (
  *('', 'a\nb', 'a\r', 'a\tb', 'a\u2028b', 'a\u2029', 'a\x85', 'a\x0bb'),
  *('\x1b[31m', 'caf\udce9', '\ufeffcat', 'a\x00'),
)


def _write_images(root, labels, num=4):
  """Writes `num` images into each label's folder."""
  rng = np.random.default_rng(0)
  for label in labels:
    folder = pathlib.Path(root, label)
    folder.mkdir(parents=True)
    for number in range(num):
      pixels = rng.integers(256, size=[16, 16, 3], dtype=np.uint8)
      Image.fromarray(pixels).save(folder / f'{number}.png')


def _config(data_dir, *assignments):
  return commands.make_config(
    'smoke',
    [
      'data=image_folder',
      f'data.data_dir={data_dir}',
      'data.num_frames=1',
      'data.valid_fraction=0.4',
      'model.tail=none',
      'run.steps=2',
      'run.batch_size=2',
      'run.eval_every=2',
      'run.sample_frames=1',
      *child_runs.NUMBERS_ONLY,
      *assignments,
    ],
  )


def _content(folder):
  """The names and bytes of a folder's files."""
  return {
    path.relative_to(folder): path.read_bytes()
    for path in folder.rglob('*')
    if path.is_file()
  }


class WalkTest(parameterized.TestCase):
  """Each mode in each folder; nothing of a run is renamed."""

  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    directory = tempfile.TemporaryDirectory()
    cls.addClassCleanup(directory.cleanup)
    cls.root = pathlib.Path(directory.name)
    cls.addClassCleanup(os.chdir, os.getcwd())
    os.chdir(cls.root)
    _write_images(cls.root / 'data', ('cat', 'dog'))
    cls.config = _config(cls.root / 'data')
    session.train(cls.config, cls.root / 'run')

  def setUp(self):
    super().setUp()
    # Worker processes take seconds to start.
    here = functools.partial(prepare_lib.prepare, num_workers=0)
    for patch in (
      unittest.mock.patch.object(prepare_lib, 'prepare', here),
      unittest.mock.patch('sys.stdout', io.StringIO()),
    ):
      patch.start()
      self.addCleanup(patch.stop)

  def _copy(self, name):
    """Copies the run and its data into an odd folder: three `str`."""
    folder = os.fsdecode(_FOLDERS[name])
    self.addCleanup(shutil.rmtree, folder)
    os.mkdir(folder)
    run, data = (os.path.join(folder, name) for name in ('run', 'data'))
    shutil.copytree('run', run)
    shutil.copytree('data', data)
    return folder, run, data

  @parameterized.parameters(*_FOLDERS)
  def test_quick_modes(self, name):
    folder, run, data = self._copy(name)
    checkpoints = pathlib.Path(run, 'checkpoints')
    before = _content(checkpoints)
    commands.sample(run, ['dog'], 1, [], None, 0, 'newest', None)
    packed = os.path.join(folder, 'packed')
    commands.pack(run, packed, 'newest')
    self.assertEqual(loading.load(packed).step, 2)
    model = models.build_model(self.config, 2)
    for spec in (run, packed, f'{run}:head', f'{run},{packed}'):
      self.assertEmpty(weights.init_from(model, spec))
    # The run is done: its checkpoint is restored.
    finish = unittest.mock.patch.object(session._Training, '_finish')
    with finish as finished:
      session.train(_config(data), run)
    finished.assert_called_once()
    self.assertEqual(_content(checkpoints), before)
    ours = os.path.join(folder, 'records')
    commands.prepare(_config(data), ours, None)
    prepared = _config(ours, 'data=tfrecord', f'data.data_dir={ours}')
    made = inputs_lib.make_inputs(prepared, None)
    self.assertEqual(made.label_names, ('cat', 'dog'))
    frames, _ = next(iter(made.train_dataset(0)))
    self.assertEqual(frames.shape, [2, 1, 16, 16, 3])

  @parameterized.parameters(*_SLOW)
  def test_slow_modes(self, name):
    _, run, _ = self._copy(name)
    before = _content(pathlib.Path(run, 'checkpoints'))
    commands.evaluate(run, None, 'newest', None)
    commands.export(run, 'best')
    version = os.path.join(run, 'export', '1')
    self.assertLen(sample_export.sample(version, 2, 1), 2)
    commands.report(run, 'newest')
    html = pathlib.Path(run, 'report.html').read_text('utf-8')
    self.assertNotIn(str(self.root), html)
    self.assertEqual(_content(pathlib.Path(run, 'checkpoints')), before)

  @parameterized.parameters(*_SLOW)
  def test_train(self, name):
    folder, run, data = self._copy(name)
    new = pathlib.Path(folder, 'new')
    config = _config(data, 'run.profile_steps=1,1')
    session.train(config, new, session.Options(init_from=run))
    self.assertEqual(
      sorted(os.listdir(new / 'checkpoints')),
      ['step_00000000', 'step_00000002'],
    )
    self.assertNotEmpty(list((new / 'tensorboard').rglob('*.v2')))
    self.assertNotEmpty(list((new / 'tensorboard').rglob('*.pb')))

  def test_a_run_without_its_checkpoints_is_left_alone(self):
    _, run, data = self._copy('wide')
    shutil.rmtree(os.path.join(run, 'checkpoints'))
    before = pathlib.Path(run, 'metrics.jsonl').read_bytes()
    with self.assertRaisesRegex(files.RunFolderError, 'trained to step 2, but'):
      session.train(_config(data), run)
    self.assertEqual(pathlib.Path(run, 'metrics.jsonl').read_bytes(), before)

  def test_names_of_runs_in_lists(self):
    for name in ('a', 'a,b', 'a:head', 'b'):
      shutil.copytree('run', name)
      self.addCleanup(shutil.rmtree, name)
    model = models.build_model(self.config, 2)
    opened = []
    read = run_folder.RunFolder.read_config

    def note(folder):
      opened.append(str(folder.path))
      return read(folder)

    with unittest.mock.patch.object(run_folder.RunFolder, 'read_config', note):
      for spec, expected in (
        ('a,b', ['a,b']),
        ('a:head', ['a:head']),
        ('a:head:head', ['a:head']),
        ('a,b:head', ['a,b']),
        ('b,a', ['b', 'a']),
        ('a,b,b', ['a,b', 'b']),
        ('b:head,a,b:head', ['b', 'a,b']),
      ):
        opened.clear()
        weights.init_from(model, spec)
        self.assertEqual(opened, expected, spec)


class LabelTest(parameterized.TestCase):
  """What is written is read back, or refused when the data are listed."""

  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.create_tempdir().full_path)

  def test_labels_file(self):
    folder = run_folder.RunFolder(self.root)
    folder.write_labels(_LABELS)
    self.assertEqual(folder.read_labels(), _LABELS)
    text = folder.labels_file.read_bytes()
    for edited in (
      b'\xef\xbb\xbf' + text,
      text.replace(b'\n', b'\r\n'),
      text[:-1],
    ):
      folder.labels_file.write_bytes(edited)
      self.assertEqual(folder.read_labels(), _LABELS)

  @parameterized.parameters(*_REFUSED)
  def test_refused(self, name):
    folder = run_folder.RunFolder(self.root)
    for call in (
      lambda: label_names.check(['a', name], 'data'),
      lambda: sources.Source('folder', ('a', name), (), ()),
      lambda: folder.write_labels(['a', name]),
    ):
      with self.assertRaisesRegex(label_names.LabelNameError, '^Label 1 of .*'):
        call()
    self.assertEmpty(os.listdir(self.root))

  def test_a_folder_of_labels_is_refused_when_it_is_listed(self):
    for name in ('a\nb', 'a\u2028b', os.fsdecode(b'caf\xe9')):
      data = self.root / 'data'
      _write_images(data, ('cat', name))
      with self.assertRaises(label_names.LabelNameError) as caught:
        session.train(_config(data), self.root / 'run')
      message = str(caught.exception)
      self.assertTrue(message.isascii() and '\n' not in message, message)
      self.assertFalse((self.root / 'run' / 'config.json').exists())
      shutil.rmtree(data)

  def test_bytes_that_are_no_labels(self):
    with self.assertRaisesRegex(label_names.LabelNameError, 'txt, line 2: .*'):
      label_names.from_bytes(b'cat\ncaf\xe9\n', 'labels.txt')
    with self.assertRaisesRegex(label_names.LabelNameError, 'is empty'):
      label_names.from_bytes(b'cat\n\ndog\n', 'labels.txt')

  def test_names_and_lists_of_labels(self):
    for number, name in enumerate(_LABELS):
      self.assertEqual(sources.resolve_labels([name], _LABELS), [number])

  def test_from_folders_to_pages(self):
    data = self.root / 'data'
    _write_images(data, _LABELS)
    config = _config(data, 'data.only_labels=a,b,<b>&amp;,猫 😀')
    made = inputs_lib.make_inputs(config, None)
    self.assertEqual(made.label_names, ('<b>&amp;', 'a,b', '猫 😀'))
    source = images.image_folder_source(str(data), 0.4)
    self.assertEqual(source.label_names, tuple(sorted(_LABELS)))
    index = prepare_lib.prepare(
      source, decode.Decoder(16), str(self.root / 'records'), num_workers=0
    )
    self.assertEqual(index.label_names, source.label_names)
    self._check_pages(config, source.label_names)

  def _check_pages(self, config, names):
    folder = run_folder.RunFolder(self.root / 'run')
    folder.create()
    folder.claim(config)
    folder.write_labels(names)
    by_label = dict(zip(names, range(len(names))))
    folder.write_metrics({'step': 2, 'bits_by_label': by_label})
    folder.append_metrics('note', 2, bits_by_label=by_label)
    self.assertEqual(folder.read_metrics_file()['bits_by_label'], by_label)
    (row,) = folder.read_metrics()
    self.assertEqual(row['bits_by_label'], by_label)
    self.assertEqual(run_data.read(folder.path).label_names, names)
    with warnings.catch_warnings():
      warnings.simplefilter('ignore')
      html = page.write([folder.path]).read_text('utf-8')
    self.assertNotIn('\u202e', html)
    self.assertIn('\\u202eevil', html)
    card = model_card._labels(names)
    self.assertLen(card.splitlines(), len(names))
    self.assertNotIn('\u202e', card)
    self.assertIn('\\\\u202eevil', card)

  def test_names_of_files(self):
    names = [b'a\xe9.png', b'b%03d.png', b'c[1].png', b'd\n.png', b'e:f.png']
    folder = self.root / 'all'
    folder.mkdir()
    for number, name in enumerate([*names, b'b001.png', b'bad\xe9.png']):
      path = folder / os.fsdecode(name)
      pixels = np.full([16, 16, 3], 255, np.uint8)
      pixels[:8] = 20 * number
      Image.fromarray(pixels).save(path)
    path.write_bytes(b'no picture')
    decoder = decode.Decoder(16)
    for number, name in enumerate(names):
      frames = decoder.frames(str(folder / os.fsdecode(name)))
      np.testing.assert_array_equal(frames[:, :8], 20 * number)
    source = images.image_folder_source(str(folder), 0.5, split_seed=3)
    index = prepare_lib.prepare(
      source, decoder, str(self.root / 'records'), num_workers=0, max_skipped=1
    )
    self._check_skipped(reading.read_lines(index.path(records.SKIPPED_FILE)))
    log = self.root / 'skipped_files.jsonl'
    skip_log.SkipLog(source, log).record(
      readers.DecodeError(str(path), 'no video stream')
    )
    self._check_skipped(reading.read_lines(log))
    skip_log.SkipLog(source, log)

  def _check_skipped(self, rows):
    paths = {os.fsencode(row['path']) for row in rows}
    self.assertIn(os.fsencode(self.root) + b'/all/bad\xe9.png', paths)
    self.assertNotIn('/tfp_cglow_', json.dumps(rows))


if __name__ == '__main__':
  tf.test.main()
