import pathlib
from unittest import mock

from absl.testing import absltest

from train.samples import numbered
from train.storage import files


class NumberedTest(absltest.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.create_tempdir().full_path, 'a', 'b')

  def _write(self):
    with numbered.new_stem(self.folder, 'sampled') as stem:
      stem.with_suffix('.gif').touch()
    return stem.name

  def test_each_gets_the_next_number(self):
    names = [self._write() for _ in range(3)]
    self.assertEqual(names, [f'sampled_000{k}' for k in (1, 2, 3)])
    (self.folder / 'sampled_0041.png').touch()
    for other in ('sampled_99x.gif', 'xsampled_0099.gif', 'sampled.gif'):
      (self.folder / other).touch()
    self.assertEqual(self._write(), 'sampled_0042')

  def test_two_at_a_time(self):
    new = lambda: numbered.new_stem(self.folder, 'x')
    with new() as first, new() as second:
      self.assertEqual((first.name, second.name), ('x_0001', 'x_0002'))
    self.assertEmpty(list(self.folder.iterdir()))  # Nothing was written.

  def test_one_that_was_faster(self):
    self._write()
    (self.folder / 'sampled_0001.gif').rename(self.folder / 'sampled_0002')
    with unlisted(), numbered.new_stem(self.folder, 'sampled') as stem:
      self.assertEqual(stem.name, 'sampled_0001')
      with unlisted(), numbered.new_stem(self.folder, 'sampled') as stem:
        self.assertEqual(stem.name, 'sampled_0003')

  def test_after_a_failure_the_number_is_free(self):
    new = numbered.new_stem(self.folder, 'x')
    with self.assertRaises(ZeroDivisionError), new:
      raise ZeroDivisionError
    self.assertEmpty(list(self.folder.iterdir()))

  def test_a_file_in_the_place_of_the_folder(self):
    self.folder.parent.mkdir()
    self.folder.touch()
    with self.assertRaisesRegex(files.RunFolderError, 'Cannot write .*/a/b'):
      self._write()
    remote = numbered.new_stem('gs://bucket/x', 'x')
    with self.assertRaisesRegex(files.RunFolderError, 'local'), remote:
      pass


def unlisted():
  """Within, folders look empty, as to a program that looked earlier."""
  return mock.patch.object(numbered.os, 'listdir', return_value=[])


if __name__ == '__main__':
  absltest.main()
