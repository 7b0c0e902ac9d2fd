"""Whatever happens to the disk or the process, a good checkpoint is found."""

import errno
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import textwrap
import unittest.mock

from absl.testing import parameterized
import tensorflow as tf
import tf_keras as tfk

from train.storage import checkpoint_files as on_disk
from train.storage import checkpoints as checkpoints_lib
from train.storage import files

_ROOT = pathlib.Path(__file__).resolve().parents[3]


class _Model(tf.Module):
  def __init__(self, size=5):
    super().__init__()
    self.weights = tf.Variable(tf.zeros([size]))
    self.half = tf.Variable(tf.zeros([2], tf.bfloat16))
    self.is_adapted = tf.Variable(False)
    self.layers = [{'again': self.weights}, tf.Variable(1.0)]
    self.mean = tfk.metrics.Mean()


def _objects(size=5):
  """A model after a step, so that its optimiser has slots."""
  model = _Model(size)
  optimizer = tfk.optimizers.legacy.Adam()
  optimizer.apply_gradients([(tf.ones([size]), model.weights)])
  return {'model': model, 'optimizer': optimizer}


def _no_space(*unused):
  raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _flip(path, index):
  data = bytearray(path.read_bytes())
  data[index] ^= 1
  path.write_bytes(data)


def _truncate(path):
  os.truncate(path, path.stat().st_size // 2)


_DATA = 'variables.data-00000-of-00001'
_DAMAGES = {
  'truncated': lambda p: _truncate(p / _DATA),
  'flipped_byte': lambda p: _flip(p / _DATA, 3),
  'flipped_byte_of_the_index': lambda p: _flip(p / 'variables.index', -20),
  'flipped_digit_of_the_manifest': lambda p: _flip(
    p / 'manifest.json', (p / 'manifest.json').read_text().index('1.25')
  ),
  'half_a_manifest': lambda p: _truncate(p / 'manifest.json'),
  'longer': lambda p: (p / _DATA).open('ab').write(b'more'),
  'a_manifest_of_bytes': lambda p: (p / 'manifest.json').write_bytes(b'\xff'),
  'a_manifest_of_another_kind': lambda p: (p / 'manifest.json').write_text('3'),
  'nested_manifest': lambda p: (p / 'manifest.json').write_text('[' * 9999),
}


def _list_files(path, change):
  """Changes the files of a manifest, and gives it the right checksum."""
  manifest = json.loads((path / 'manifest.json').read_text())
  del manifest['sha256']
  change(manifest['files'])
  manifest['sha256'] = on_disk._manifest_digest(manifest)
  (path / 'manifest.json').write_text(json.dumps(manifest))


def _replace(path, make):
  path.unlink()
  make(path)


_SOME = {'size': 3, 'sha256': hashlib.sha256(b'abc').hexdigest()}
# What is no damage: no checksum of bytes that were read says so.
_UNREADABLE = {
  'no_manifest': (
    lambda p: (p / 'manifest.json').unlink(),
    'not complete: there is no manifest.json',
  ),
  'no_data': (
    lambda p: (p / _DATA).unlink(),
    'not complete: there is no variables.data',
  ),
  'another_step': (
    lambda p: shutil.copy(p.parent / 'step_00000001/manifest.json', p),
    'has been renamed: its manifest.json is of step 1',
  ),
  'empty': (lambda p: (shutil.rmtree(p), p.mkdir()), 'there is no manifest'),
  'a_file': (
    lambda p: (shutil.rmtree(p), p.write_text('')),
    'Not a directory, ENOTDIR.*It may be intact',
  ),
  'a_folder_of_data': (
    lambda p: _replace(p / _DATA, pathlib.Path.mkdir),
    'variables.data.* is no plain file',
  ),
  'a_pipe_of_data': (
    lambda p: _replace(p / _DATA, os.mkfifo),
    'variables.data.* is no plain file',
  ),
  'a_link_to_a_device': (
    lambda p: _replace(p / _DATA, lambda d: d.symlink_to('/dev/zero')),
    'variables.data.* is no plain file',
  ),
  'a_pipe_of_a_manifest': (
    lambda p: _replace(p / 'manifest.json', os.mkfifo),
    'manifest.json is no plain file',
  ),
  'a_large_manifest': (
    lambda p: os.truncate(p / 'manifest.json', 2**30),
    'manifest.json has 1073741824 bytes',
  ),
  'a_device': (
    lambda p: _list_files(p, lambda f: f.update({'/dev/zero': _SOME})),
    "lists '/dev/zero'",
  ),
  'a_file_outside': (
    lambda p: (
      (p.parent / 'x').write_text('abc'),
      _list_files(p, lambda f: f.update({'../x': _SOME})),
    ),
    "lists '../x'",
  ),
  'no_files': (
    lambda p: _list_files(p, dict.clear),
    'does not list variables',
  ),
  'no_data_listed': (
    lambda p: _list_files(p, lambda f: f.pop(_DATA)),
    'does not list variables.data',
  ),
  'a_size_of_words': (
    lambda p: _list_files(p, lambda f: f[_DATA].update(size='3')),
    'other fields',
  ),
  'a_file_of_a_terabyte': (
    lambda p: (
      os.truncate(p / _DATA, 2**40),
      _list_files(p, lambda f: f[_DATA].update(size=2**40)),
    ),
    'bytes, .* are expected at most',
  ),
}


class CheckpointsTest(tf.test.TestCase, parameterized.TestCase):
  def setUp(self):
    super().setUp()
    self.folder = pathlib.Path(self.create_tempdir().full_path) / 'checkpoints'
    self.objects = _objects()
    self.model = self.objects['model']
    self.checkpoints = checkpoints_lib.Checkpoints(self.objects, self.folder)

  def _save(self, step, held_out=None):
    self.model.weights.assign(tf.fill([5], float(step)))
    self.checkpoints.save(step, held_out)

  def _restore(self, which='newest', **kwargs):
    """Into new objects: the step, and the weights' value."""
    objects = _objects()
    step = checkpoints_lib.Checkpoints(objects, self.folder, **kwargs).restore(
      which
    )
    return step, objects['model'].weights.numpy()[0]

  def _path(self, step):
    return self.folder / f'step_{step:08}'

  def _names(self):
    return sorted(os.listdir(self.folder))

  def test_round_trip(self):
    self.assertIsNone(self.checkpoints.restore())
    self.model.is_adapted.assign(True)
    self.model.half.assign([3, 4])
    self._save(7, 1.5)
    expected = [v.numpy() for v in self.objects['optimizer'].weights]
    objects = _objects()
    other = checkpoints_lib.Checkpoints(objects, self.folder)
    self.assertEqual(other.restore(), 7)
    self.assertEqual(other.step.numpy(), 7)
    self.assertAllEqual(objects['model'].weights, [7.0] * 5)
    self.assertAllEqual(objects['model'].half, self.model.half)
    self.assertTrue(objects['model'].is_adapted.numpy())
    for variable, value in zip(objects['optimizer'].weights, expected):
      self.assertAllEqual(variable, value)
    self.assertEqual(self._names(), ['step_00000007'])
    manifest = json.loads((self._path(7) / 'manifest.json').read_text())
    self.assertEqual(manifest['held_out_bits_per_dim'], 1.5)
    self.assertEqual(manifest['step'], 7)

  def test_keeps_the_newest_and_the_best(self):
    values = [3.0, 1.0, 2.0, float('nan'), 1.0, None, None, None]
    for step, value in enumerate(values):
      self._save(step, value)
    # Of two that are as good, the newer one.
    self.assertEqual(self.checkpoints.steps(), [4, 5, 6, 7])
    self.assertEqual(self.checkpoints.best_step(), 4)
    self.assertEqual(self._restore('best'), (4, 4.0))
    self.assertEqual(self._restore(), (7, 7.0))

  def test_best_without_a_measure_is_the_newest(self):
    self._save(1)
    self._save(2, float('nan'))
    self.assertIsNone(self.checkpoints.best_step())
    self.assertEqual(self._restore('best'), (2, 2.0))
    with self.assertRaisesRegex(ValueError, "'newest' or 'best', got 'last'"):
      self.checkpoints.restore('last')

  @parameterized.named_parameters(_DAMAGES.items())
  def test_damaged(self, damage):
    self._save(1, 2.0)
    self._save(2, 1.25)
    damage(self._path(2))
    self.assertEqual(self._restore(is_chief=False), (1, 1.0))
    self.assertTrue(self._path(2).exists())  # Not another's to rename.
    with self.assertLogs(level='WARNING') as logs:
      self.assertEqual(self._restore(), (1, 1.0))
    self.assertIn('step_00000002 is damaged', logs.output[0])
    self.assertEqual(self._names(), ['corrupt_step_00000002', 'step_00000001'])

  @parameterized.named_parameters(
    (name, *row) for name, row in _UNREADABLE.items()
  )
  def test_what_cannot_be_read_is_not_renamed(self, change, message):
    self._save(1, 2.0)
    self._save(2, 1.25)
    change(self._path(2))
    names = self._names()
    for which in ('newest', 'best'):
      for is_chief in (True, False):
        with self.assertRaisesRegex(on_disk.CheckpointError, message):
          self._restore(which, is_chief=is_chief)
    self.assertEqual(self._names(), names)
    self._save(3)  # It does not stop a run that goes on.
    shutil.rmtree(self._path(2), ignore_errors=True)
    self._path(2).unlink(missing_ok=True)
    self.assertEqual(self._restore(), (3, 3.0))

  @parameterized.parameters(
    OSError(errno.EIO, 'Input/output error'),
    OSError(errno.EACCES, 'Permission denied'),
    OSError(errno.ESTALE, 'Stale file handle'),
    OSError(errno.EMFILE, 'Too many open files'),
    OSError(errno.ENOENT, 'No such file', '/checkpoints/variables.index'),
  )
  def test_an_error_of_reading_is_no_damage(self, error):
    self._save(1)
    self._save(2)
    names = self._names()
    for owner, function in (
      (files, 'digest'),
      (pathlib.Path, 'read_bytes'),
      (pathlib.Path, 'lstat'),
    ):
      with (
        unittest.mock.patch.object(owner, function, side_effect=error),
        self.assertRaises(on_disk.CheckpointError),
      ):
        self.checkpoints.restore()
      self.assertEqual(self._names(), names)
    self.assertEqual(self._restore(), (2, 2.0))

  @parameterized.parameters(
    (tf.errors.ResourceExhaustedError(None, None, 'full'), 'which is intact'),
    (OSError(errno.EIO, 'Input/output error'), 'which is intact'),
    (tf.errors.NotFoundError(None, None, 'none'), 'does not fit this model'),
  )
  def test_an_error_of_tensorflow_is_no_damage(self, error, message):
    self._save(1)
    with (
      unittest.mock.patch.object(
        self.checkpoints._checkpoint, 'read', side_effect=error
      ),
      self.assertRaisesRegex(on_disk.CheckpointError, message),
    ):
      self.checkpoints.restore()
    self.assertEqual(self._names(), ['step_00000001'])

  def test_a_folder_that_cannot_be_listed_is_not_empty(self):
    self._save(1)
    with (
      unittest.mock.patch.object(
        os, 'listdir', side_effect=PermissionError(13, 'Permission denied')
      ),
      self.assertRaisesRegex(on_disk.CheckpointError, 'no permission'),
    ):
      self.checkpoints.restore()

  def test_removed_while_it_is_read(self):
    self._save(1)
    self._save(2)
    check = on_disk.check_content

    def remove_first(path, *args):
      shutil.rmtree(path)
      on_disk.check_content = check
      return check(path, *args)

    with unittest.mock.patch.object(on_disk, 'check_content', remove_first):
      self.assertEqual(self._restore(is_chief=False), (1, 1.0))

  @parameterized.parameters(
    b'c[1]', b'a*b?', b'{a,b}', b'a\\b', b'50%d', b'#', b'ram:', b'caf\xe9',
    b'-dash', b'a\nb', b'a b', 'a\u2028b'.encode(), '猫😀'.encode(),
  )  # fmt: skip
  def test_names_of_folders(self, name):
    self._save(1)
    moved = self.folder.parent / os.fsdecode(name)
    self.folder.rename(moved)
    self.folder = moved
    self.assertEqual(self._restore(), (1, 1.0))
    checkpoints_lib.Checkpoints(self.objects, moved).save(2)
    self.assertEqual(self._restore()[0], 2)
    self.assertEqual(self._names(), ['step_00000001', 'step_00000002'])

  def test_steps_looks_at_sizes(self):
    self._save(1)
    self._save(2)
    _truncate(self._path(2) / _DATA)
    self.assertEqual(self.checkpoints.steps(), [1])

  def test_the_best_is_damaged(self):
    self._save(1, 1.5)
    self._save(2, 1.25)
    self._save(3, 2.0)
    _flip(self._path(2) / _DATA, 0)
    self.assertEqual(self._restore('best'), (1, 1.0))

  def test_damaged_again(self):
    self._save(1)
    for _ in range(2):
      self._save(2)
      _truncate(self._path(2) / _DATA)
      self.assertEqual(self._restore(), (1, 1.0))
    self.assertIn('corrupt_step_00000002.2', self._names())

  def test_all_damaged(self):
    self._save(1)
    self._save(2)
    for step in (1, 2):
      _truncate(self._path(step) / _DATA)
    # The second time there is nothing left but what was set aside.
    for _ in range(2):
      with self.assertRaisesRegex(
        on_disk.CheckpointError, 'No checkpoint in .* is intact'
      ):
        self._restore()

  def test_of_an_older_version(self):
    (self.folder / 'ckpt-400.index').write_text('')
    with self.assertRaisesRegex(on_disk.CheckpointError, 'older version'):
      self._restore()

  def test_of_a_newer_version(self):
    with unittest.mock.patch.object(on_disk, '_FORMAT', 2):
      self._save(1)
    with self.assertRaisesRegex(
      on_disk.CheckpointError, 'format 1, but .* is of 2'
    ):
      self._restore()
    self.assertEqual(self._names(), ['step_00000001'])

  @parameterized.parameters(
    (_objects(6),), ({**_objects(), 'more': tf.Variable(1.0)},)
  )
  def test_another_model_is_no_damage(self, objects):
    self._save(1)
    other = checkpoints_lib.Checkpoints(objects, self.folder)
    with self.assertRaisesRegex(
      on_disk.CheckpointError, 'intact, but does not fit this model'
    ):
      other.restore()
    self.assertEqual(self._names(), ['step_00000001'])

  def test_no_permission_is_no_damage(self):
    self._save(1)
    with (
      unittest.mock.patch.object(
        pathlib.Path, 'read_bytes', side_effect=PermissionError(13, 'Denied')
      ),
      self.assertRaisesRegex(
        on_disk.CheckpointError, 'no permission .Denied, EACCES'
      ),
    ):
      self._restore()
    self.assertEqual(self._names(), ['step_00000001'])

  def test_same_step_replaces(self):
    self._save(1, 2.0)
    self.model.layers[1].assign(5.0)
    self._save(1, 1.0)
    objects = _objects()
    checkpoints_lib.Checkpoints(objects, self.folder).restore()
    self.assertEqual(objects['model'].layers[1].numpy(), 5.0)
    self.assertEqual(self._names(), ['step_00000001'])

  def test_discard_after(self):
    for step in (1, 2, 3):
      self._save(step, -step)
    _DAMAGES['half_a_manifest'](self._path(3))
    reader = checkpoints_lib.Checkpoints(
      self.objects, self.folder, is_chief=False
    )
    reader.discard_after(1)
    self.assertEqual(self.checkpoints.steps(), [1, 2])
    self.checkpoints.discard_after(1)
    self.assertEqual(self._names(), ['step_00000001'])
    self.assertEqual(self.checkpoints.best_step(), 1)

  def test_left_by_a_killed_process(self):
    self._save(1)
    self._save(2)
    shutil.copytree(self._path(2), self.folder / '.new_step_00000003.123')
    shutil.copytree(self._path(2), self.folder / '.old_step_00000001.123')
    os.rename(self._path(2), self.folder / '.old_step_00000002.123')
    (self.folder / '.removed_step_00000000.123').mkdir()
    before = self._names()
    self.assertEqual(self._restore(is_chief=False), (1, 1.0))
    self.assertEqual(self._names(), before)
    self.assertEqual(self._restore(), (2, 2.0))
    self.assertEqual(self._names(), ['step_00000001', 'step_00000002'])

  @parameterized.parameters('rename', 'fsync', 'mkdir')
  def test_disk_is_full(self, function):
    self._save(1)
    owner = pathlib.Path if function == 'mkdir' else os
    with (
      unittest.mock.patch.object(owner, function, _no_space),
      self.assertRaisesRegex(
        on_disk.CheckpointError,
        'Cannot write .*step_00000002: the disk is full .No space left on '
        'device, ENOSPC.* GB are free there.* checkpoint is .*step_00000001',
      ),
    ):
      self._save(2)
    self.assertEqual(self._names(), ['step_00000001'])
    self._save(2)
    self.assertEqual(self._restore(), (2, 2.0))

  def test_replacing_fails(self):
    self._save(1)
    rename, calls = os.rename, []

    def fail_second(*args):
      calls.append(args)
      (_no_space if len(calls) == 2 else rename)(*args)

    with (
      unittest.mock.patch.object(os, 'rename', fail_second),
      self.assertRaises(on_disk.CheckpointError),
    ):
      self._save(1)
    self.assertEqual(self._names(), ['step_00000001'])
    self.assertEqual(self._restore(), (1, 1.0))

  def test_interrupted_while_replacing(self):
    self._save(1)
    rename, calls = os.rename, []

    def interrupt_second(*args):
      calls.append(args)
      if len(calls) == 2:
        raise KeyboardInterrupt
      rename(*args)

    with (
      unittest.mock.patch.object(os, 'rename', interrupt_second),
      self.assertRaises(KeyboardInterrupt),
    ):
      self._save(1)
    self.assertEqual(self._names(), ['step_00000001'])

  def test_folder_is_removed(self):
    self._save(1)
    shutil.rmtree(self.folder)
    with self.assertRaisesRegex(
      on_disk.CheckpointError,
      'its folder is gone .*ENOENT.*There is no intact checkpoint',
    ):
      self._save(2)
    self.assertFalse(self.folder.exists())

  def test_folder_is_read_only(self):
    with (
      unittest.mock.patch.object(
        pathlib.Path, 'mkdir', side_effect=OSError(errno.EROFS, 'Read-only')
      ),
      self.assertRaisesRegex(
        on_disk.CheckpointError, 'the file system is read-only'
      ),
    ):
      self._save(1)

  def test_tensorflow_cannot_write(self):
    """In a process that may write no file larger than 100 kB."""
    program = """
      import resource
      import sys
      import tensorflow as tf
      from train.storage import checkpoint_files as on_disk
      from train.storage import checkpoints as checkpoints_lib
      folder = sys.argv[1]
      variable = tf.Variable(tf.zeros([10]))
      saver = checkpoints_lib.Checkpoints({'v': variable}, folder)
      saver.save(1)
      large = tf.Variable(tf.zeros([100_000]))
      saver = checkpoints_lib.Checkpoints({'v': large}, folder)
      resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
      try:
        saver.save(2)
      except on_disk.CheckpointError as e:
        print(e)
    """
    result = _run(program, self.folder)
    self.assertRegex(
      result.stdout,
      '^Cannot write .*step_00000002: .*File too large.*GB are free.*'
      'newest intact checkpoint is .*step_00000001',
      result.stderr[-2000:],
    )
    self.assertEqual(self._names(), ['step_00000001'])

  def test_read_back_otherwise(self):
    self._save(1)
    sync = on_disk.sync_file

    def write_otherwise(path):
      """As a disk would that takes other bytes than it is given."""
      sync(path)
      if path.name == _DATA:
        _flip(path, 9)

    with (
      unittest.mock.patch.object(on_disk, 'sync_file', write_otherwise),
      self.assertRaisesRegex(
        on_disk.CheckpointError, 'Cannot write .*Checksum'
      ),
    ):
      self._save(2)
    self.assertEqual(self._names(), ['step_00000001'])

  def test_a_worker_that_is_gone_is_no_disk(self):
    with (
      unittest.mock.patch.object(
        self.checkpoints._checkpoint,
        'write',
        side_effect=tf.errors.UnavailableError(None, None, 'gone'),
      ),
      self.assertRaises(tf.errors.UnavailableError),
    ):
      self._save(1)
    self.assertEqual(self._names(), [])

  @parameterized.parameters(
    lambda o: o['model'].weights,
    lambda o: o['model'].layers[1],
    lambda o: o['optimizer'].get_slot(o['model'].weights, 'v'),
  )
  def test_compares_every_variable(self, choose):
    self._save(1)
    variable = choose(self.objects)
    write = self.checkpoints._checkpoint.write

    def write_then_change(prefix):
      write(prefix)
      variable.assign(-variable)  # Minus zero equals zero, but is another.

    variable.assign(tf.zeros_like(variable))
    with (
      unittest.mock.patch.object(
        self.checkpoints._checkpoint, 'write', write_then_change
      ),
      self.assertRaisesRegex(
        on_disk.CheckpointError, 'is not read back as it was written'
      ),
    ):
      self.checkpoints.save(2)
    self.assertEqual(self._names(), ['step_00000001'])

  @parameterized.parameters(float('nan'), float('inf'))
  def test_not_finite(self, value):
    self._save(1)
    self.model.half.assign([value, 0])
    self.objects['optimizer'].get_slot(self.model.weights, 'v').assign(
      [0, 0, value, 0, 0]
    )
    self.model.mean.update_state(value)  # Of a log; it does no harm.
    for is_chief in (True, False):
      checkpoints = checkpoints_lib.Checkpoints(
        self.objects, self.folder, is_chief=is_chief
      )
      with self.assertRaises(checkpoints_lib.NotFiniteError) as caught:
        checkpoints.save(2)
      self.assertIn('model/half', str(caught.exception))
      self.assertIn('optimizer/v', str(caught.exception))
      self.assertNotIn('mean', str(caught.exception))
      self.assertEqual(caught.exception.step, 2)
    self.assertEqual(self._names(), ['step_00000001'])
    self.model.half.assign([0, 0])
    self.objects['optimizer'].get_slot(self.model.weights, 'v').assign(
      [0.0] * 5
    )
    self._save(2)
    self.assertEqual(self._restore()[0], 2)

  def test_a_worker_writes_elsewhere(self):
    temporary = self.create_tempdir().full_path
    worker = checkpoints_lib.Checkpoints(
      self.objects, self.folder, is_chief=False
    )
    with unittest.mock.patch('tempfile.tempdir', temporary):
      worker.save(1)
    self.assertEqual(self._names(), [])
    self.assertEqual(os.listdir(temporary), [])

  def test_not_local(self):
    with self.assertRaisesRegex(files.RunFolderError, 'is of gs'):
      checkpoints_lib.Checkpoints({}, pathlib.Path('gs://bucket/run'))

  def test_killed_while_saving(self):
    """Before each call that changes the folder, in a process of its own."""
    program = """
      import itertools
      import os
      import signal
      import sys
      import tensorflow as tf
      from train.storage import checkpoints as checkpoints_lib

      def save(folder, last):
        variable = tf.Variable(tf.zeros([3]))
        saver = checkpoints_lib.Checkpoints({'v': variable}, folder, keep=1)
        saver.save(1)
        calls = itertools.count(1)

        def killing(function):
          def call(*args, **kwargs):
            if next(calls) == last:
              os.kill(os.getpid(), signal.SIGKILL)
            return function(*args, **kwargs)
          return call

        for name in ('mkdir', 'fsync', 'rename', 'unlink', 'rmdir'):
          setattr(os, name, killing(getattr(os, name)))
        for step in (1, 2, 2):
          saver.save(step)

      for last in itertools.count(1):
        child = os.fork()  # TensorFlow has no threads yet.
        if not child:
          save(os.path.join(sys.argv[1], str(last)), last)
          os._exit(0)
        if os.waitpid(child, 0)[1] == 0:
          break
      print(last)
    """
    result = _run(program, self.folder)
    num_kills = int(result.stdout)
    self.assertGreater(num_kills, 30, result.stderr[-2000:])
    for last in range(1, num_kills):
      folder = self.folder / str(last)
      saver = checkpoints_lib.Checkpoints({'v': tf.Variable([1.0] * 3)}, folder)
      step = saver.restore()
      self.assertIn(step, (1, 2))
      expected = {f'step_{s:08}' for s in saver.steps()}
      self.assertEqual(set(os.listdir(folder)), expected)


def _run(program, folder):
  return subprocess.run(
    [sys.executable, '-c', textwrap.dedent(program), str(folder)],
    cwd=_ROOT,
    capture_output=True,
    text=True,
  )


if __name__ == '__main__':
  tf.test.main()
