"""Damaged and edited files of run folders: one line that names the file."""

import json
import os
import pathlib

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from train import errors
from train.config import configs
from train.config import presets
from train.loop import recovery
from train.report import run_data
from train.storage import files
from train.storage import reading
from train.storage import run_folder

_DAMAGED = {
  'empty': b'',
  'blank': b' \n',
  'cut': b'{"step": 1, "a": {',
  'latin_1': '{"step": 1, "a": "é"}'.encode('latin-1'),
  'utf_16': '{"step": 1}'.encode('utf-16'),
  'null': b'null',
  'number': b'7',
  'list_of_lists': b'[[]]',
  'text': b'"step"',
  'twice': b'{"step": 1, "step": 2}',
  'deep': b'{"step": ' + b'[' * 200_000,
  'digits': b'{"step": 1' + b'0' * 6000 + b'}',
  'two': b'{} {}',
  'zeros': b'\0' * 100,
  'lone_bytes': b'\xff\xfe\xfd',
}


class ReadingTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = run_folder.RunFolder(self.create_tempdir().full_path)
    self.folder.create()
    self.folder.claim(presets.PRESETS['smoke'])
    self.folder.write_metrics({'step': 6})

  def _refused(self, path, read):
    with self.assertRaises(errors.UserError) as e:
      read()
    self.assertIn(str(path), str(e.exception))
    self.assertLen(str(e.exception).splitlines(), 1)
    return str(e.exception)

  @parameterized.named_parameters(*_DAMAGED.items())
  def test_damaged(self, data):
    recoveries = self.folder.path / 'recoveries.json'
    ablation = self.folder.path / 'ablation.json'
    for path, read in (
      (self.folder.config_file, self.folder.read_config),
      (self.folder.metrics_file, self.folder.read_metrics_file),
      (recoveries, lambda: recovery.Recoveries(self.folder)),
      (ablation, lambda: run_data.read_ablation(self.folder.path)),
      (
        self.folder.scores_file,
        lambda: self.folder.read_arrays(self.folder.scores_file.name),
      ),
    ):
      path.write_bytes(data)
      self._refused(path, read)

  @parameterized.parameters(
    (b'\n\n{"a": \xe9}', 'line 3: expected text in UTF-8, but got .*0xe9'),
    (b'{"a": 1,\n"b": }', 'line 2: not valid JSON: .* column 6'),
    (b'{"a": 1,\n', 'line 2: not valid JSON: it ends too early'),
  )
  def test_the_line_is_named(self, data, message):
    path = self.folder.path / 'a.json'
    path.write_bytes(data)
    error = self._refused(path, lambda: reading.read_json(path))
    self.assertRegex(error, message)

  def test_a_byte_order_mark_is_no_damage(self):
    for path in (self.folder.config_file, self.folder.metrics_file):
      path.write_bytes(b'\xef\xbb\xbf' + path.read_bytes())
    self.assertEqual(self.folder.read_config(), presets.PRESETS['smoke'])
    self.assertEqual(self.folder.read_metrics_file(), {'step': 6})

  @parameterized.parameters('metrics_file', 'labels_file')
  def test_no_plain_file(self, name):
    path = getattr(self.folder, name)
    read = {
      'metrics_file': self.folder.read_metrics_file,
      'labels_file': self.folder.read_labels,
    }[name]
    path.unlink(missing_ok=True)
    os.mkfifo(path)
    self._refused(path, read)
    path.unlink()
    path.mkdir()
    self._refused(path, read)

  def test_no_labels_file(self):
    self._refused(self.folder.labels_file, self.folder.read_labels)

  def test_every_value_of_config_of_another_type(self):
    values = json.loads(self.folder.config_file.read_text())

    def change(parent, path):
      for key, value in list(parent.items()):
        for other in ('10', None, [1], {}, float('nan'), True, -(10**30)):
          if type(other) is type(value) and other not in ('10', -(10**30)):
            continue
          parent[key] = other
          self.folder.config_file.write_text(json.dumps(values))
          yield f'{path}{key}', other
        parent[key] = value
        if isinstance(value, dict):
          yield from change(value, f'{path}{key}.')

    num_refused = 0
    for _ in change(values, ''):
      try:
        configs.check(self.folder.read_config())
      except errors.UserError as e:
        num_refused += 1
        self.assertLen(str(e).splitlines(), 1)
    self.assertGreater(num_refused, 300)

  @parameterized.parameters(
    ({'kind': 'train', 'step': '2'}, '`step` to be a whole number'),
    ({'kind': [], 'step': 2}, '`kind` to be a string'),
    ({'kind': 'train', 'step': 2, 'loss': 'x'}, '`loss` to be a number'),
    ({'kind': 'eval', 'step': 2, 'model': 3}, '`model` to be a string'),
  )
  def test_row_of_metrics_of_another_type(self, row, message):
    self.folder.append_metrics('train', 1, loss=float('nan'), other=None)
    files.append_line(self.folder.metrics_log, row)
    self.assertRegex(
      self._refused(self.folder.metrics_log, self.folder.read_metrics),
      f'line 2: expected {message}',
    )

  @parameterized.parameters(
    ({},),
    ({'step': '6'},),
    ({'step': True},),
    ({'step': 6, 'head_bits_per_dim': []},),
    ({'step': 6, 'num_train_clips': '3'},),
  )
  def test_metrics_of_another_type(self, values):
    self.folder.write_metrics(values)
    self._refused(self.folder.metrics_file, self.folder.read_metrics_file)
    data = run_data.read(self.folder.path)  # A report goes on without them.
    self.assertEqual(data.metrics, {})
    self.assertLen(data.problems, 1)

  def test_deep_lines_and_other_bytes_are_left_out(self):
    with open(self.folder.metrics_log, 'wb') as f:
      f.write(b'[' * 200_000 + b'\n\xff\n{"kind": "train", "step": 3}\n')
    self.assertLen(self.folder.read_metrics(), 1)

  def test_arrays_cut_short(self):
    name = self.folder.scores_file.name
    self.folder.write_arrays(name, {'a': np.arange(1000)})
    data = self.folder.scores_file.read_bytes()
    for size in (1, 40, len(data) // 2, len(data) - 10):
      pathlib.Path(self.folder.scores_file).write_bytes(data[:size])
      self._refused(
        self.folder.scores_file, lambda: self.folder.read_arrays(name)
      )


if __name__ == '__main__':
  absltest.main()
