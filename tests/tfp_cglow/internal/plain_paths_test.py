"""Tests of `plain_paths`."""

import os
import pathlib
import shutil
import unittest.mock

from absl.testing import absltest
from absl.testing import parameterized

from tfp_cglow.internal import plain_paths

_FOLDERS = (
  b'c[1]',
  b'a*b?{c}\\',
  b'50%03d#',
  b'a:b,c',
  b'caf\xe9',
  b'-dash',
  'a\nb\u2028c'.encode(),
  '猫 😀$x$'.encode(),
)


class PlainPathTest(parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.root = pathlib.Path(self.create_tempdir().full_path)

  @parameterized.parameters(*_FOLDERS)
  def test_is_the_same_file(self, name):
    odd = self.root / os.fsdecode(name) / 'a'
    odd.mkdir(parents=True)
    (odd / 'file').write_text('here')
    path = plain_paths.plain(odd / 'file')
    self.assertTrue(os.path.isabs(path))
    self.assertNoCommonElements(path, '[]*?{}\\#%\n$\u2028')
    path.encode('utf-8')
    self.assertEqual(pathlib.Path(path).read_text(), 'here')
    self.assertEqual(path, plain_paths.plain(os.fsencode(odd / 'file')))

  def test_plain_and_remote_paths_are_kept(self):
    for path in ('/a/b.c:d,e=f ~é', 'gs://bucket/c[1]'):
      self.assertEqual(plain_paths.plain(path), path)
    self.assertEqual(plain_paths.plain('-a'), os.path.join(os.getcwd(), '-a'))
    self.assertEqual(
      plain_paths.plain('ram:/a'), os.path.join(os.getcwd(), 'ram:/a')
    )

  def test_a_link_that_was_removed_is_made_again(self):
    odd = self.root / 'c[1]'
    odd.mkdir()
    path = plain_paths.plain(odd)
    shutil.rmtree(os.path.dirname(path))
    self.assertTrue(os.path.isdir(plain_paths.plain(odd)))

  def test_a_temporary_folder_with_an_odd_name(self):
    odd = self.root / 'c[2]'
    odd.mkdir()
    links = plain_paths._Links()
    with unittest.mock.patch('tempfile.tempdir', str(odd)):
      self.assertNotIn('[', links.link(str(odd)))
      links._remove(os.getpid())

  def assertNoCommonElements(self, text, characters):
    self.assertEqual(set(text) & set(characters), set())


if __name__ == '__main__':
  absltest.main()
