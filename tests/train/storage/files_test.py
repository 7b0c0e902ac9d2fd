import errno
import hashlib
import os
import pathlib
import unittest.mock

from absl.testing import absltest
from absl.testing import parameterized

from train.storage import files
from train.storage import reading


class FilesTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.create_tempdir().full_path)
    self.path = self.folder / 'rows.jsonl'

  def _names(self):
    return sorted(os.listdir(self.folder))

  def test_a_file_is_replaced_as_a_whole(self):
    self.path.write_text('old')
    with files.replacing(self.path) as temporary:
      temporary.write_text('new')
      self.assertEqual(self.path.read_text(), 'old')
      self.assertEqual(temporary.parent, self.folder)
      self.assertStartsWith(temporary.name, '.rows.jsonl.')
    self.assertEqual(self.path.read_text(), 'new')
    self.assertEqual(self._names(), ['rows.jsonl'])

  def test_a_folder_appears_as_a_whole(self):
    with files.replacing(self.folder / 'a') as temporary:
      (temporary / 'b').mkdir(parents=True)
      self.assertFalse((self.folder / 'a').exists())
    self.assertTrue((self.folder / 'a' / 'b').is_dir())
    self.assertEqual(self._names(), ['a'])

  def test_a_folder_with_files_is_not_replaced(self):
    (self.folder / 'a' / 'b').mkdir(parents=True)
    with (
      self.assertRaises(OSError),
      files.replacing(self.folder / 'a') as temporary,
    ):
      temporary.mkdir()
    self.assertEqual(self._names(), ['a'])
    self.assertTrue((self.folder / 'a' / 'b').is_dir())

  @parameterized.parameters(
    lambda path: path.write_text('half'),
    lambda path: (path / 'b').mkdir(parents=True),
    lambda path: None,
  )
  def test_nothing_is_left_of_what_goes_wrong(self, make):
    self.path.write_text('old')
    with (
      self.assertRaises(KeyboardInterrupt),
      files.replacing(self.path) as temporary,
    ):
      make(temporary)
      raise KeyboardInterrupt
    self.assertEqual(self._names(), ['rows.jsonl'])
    self.assertEqual(self.path.read_text(), 'old')

  def test_a_temporary_path_of_the_caller_s(self):
    with files.replacing(self.path, self.folder / 'x') as temporary:
      self.assertEqual(temporary, self.folder / 'x')
      temporary.write_text('new')
    self.assertEqual(self._names(), ['rows.jsonl'])

  def test_write_atomically_syncs_before_and_after_it_renames(self):
    calls = []
    for name in ('fsync', 'replace'):
      real = getattr(os, name)

      def noting(*args, name=name, real=real):
        calls.append(name)
        return real(*args)

      self.enter_context(unittest.mock.patch.object(os, name, noting))
    files.write_atomically(self.path, 'ü')
    self.assertEqual(calls, ['fsync', 'replace', 'fsync'])
    self.assertEqual(self.path.read_bytes(), 'ü'.encode())

  @parameterized.parameters(
    (errno.ENOSPC, 'Cannot write .*rows.jsonl: the disk is full .*ENOSPC'),
    (errno.EROFS, 'the file system is read-only .*EROFS'),
    (errno.EIO, 'Cannot write .*: Input/output error, EIO'),
  )
  def test_write_atomically_says_what_went_wrong(self, code, message):
    error = OSError(code, os.strerror(code))
    with (
      unittest.mock.patch.object(os, 'replace', side_effect=error),
      self.assertRaisesRegex(files.RunFolderError, message),
    ):
      files.write_atomically(self.path, b'')
    self.assertEmpty(self._names())

  def test_digest(self):
    data = bytes(range(256)) * 2**13  # More than a block.
    self.path.write_bytes(data)
    expected = {'size': 2**21, 'sha256': hashlib.sha256(data).hexdigest()}
    self.assertEqual(files.digest(self.path), expected)

  def test_lines(self):
    self.assertEmpty(reading.read_lines(self.path))
    rows = [{'a': 1}, {'b': 'ü\n'}]
    for row in rows:
      files.append_line(self.path, row)
    self.assertEqual(reading.read_lines(self.path), rows)

  def test_a_line_cut_short_hides_no_other(self):
    for tail in (b'{"a": ', b'\x00\xff', b'[1]\n', b'{"a"\n'):
      files.append_line(self.path, {'a': 1})
      with open(self.path, 'ab') as f:
        f.write(tail)
      files.append_line(self.path, {'a': 2})
      self.assertEqual(reading.read_lines(self.path), [{'a': 1}, {'a': 2}])
      self.path.unlink()

  def test_errors_of_lines_are_the_system_s(self):
    with self.assertRaises(FileNotFoundError):
      files.append_line(self.path / 'x', {})


if __name__ == '__main__':
  absltest.main()
