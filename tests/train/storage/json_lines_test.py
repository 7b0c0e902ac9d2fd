"""Tests of files of one JSON object a line."""

import os

from absl.testing import absltest

from train.storage import json_lines


class JsonLinesTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.path = os.path.join(self.create_tempdir().full_path, 'rows.jsonl')

  def test_rows(self):
    self.assertEmpty(json_lines.read(self.path))
    rows = [{'a': 1}, {'b': 'ü\n'}]
    for row in rows:
      json_lines.append(self.path, row)
    self.assertEqual(json_lines.read(self.path), rows)

  def test_a_line_cut_short_hides_no_other(self):
    for tail in (b'{"a": ', b'\x00\xff', b'[1]\n', b'{"a"\n'):
      json_lines.append(self.path, {'a': 1})
      with open(self.path, 'ab') as f:
        f.write(tail)
      json_lines.append(self.path, {'a': 2})
      self.assertEqual(json_lines.read(self.path), [{'a': 1}, {'a': 2}])
      os.remove(self.path)

  def test_errors_are_the_system_s(self):
    with self.assertRaises(FileNotFoundError):
      json_lines.append(os.path.join(self.path, 'x'), {})


if __name__ == '__main__':
  absltest.main()
