import json
import subprocess
import sys

from absl.testing import absltest

_PROGRAM = """
import json, sys
sys.path[:0] = {path!r}
from benchmarks import own_process
if '--run=fail' in sys.argv:
  sys.exit('it broke')
print('news')
if '--run=1' in sys.argv:
  print(json.dumps(sys.argv[1:]))
else:
  result = own_process.run_again('--run=1', '--more')
  try:
    own_process.run_again('--run=fail')
  except RuntimeError as e:
    print(json.dumps([result, str(e)]))
"""

_MEMORY = """
import sys
sys.path[:0] = {path!r}
from benchmarks import own_process
own_process.reset_peak()
before = own_process.status_bytes('VmHWM')
block = b'x' * 2**27
del block
peak = own_process.status_bytes('VmHWM')
assert peak - before >= 2**26, (before, peak)
own_process.reset_peak()
now = own_process.status_bytes('VmHWM')
assert now <= peak - 2**26, (now, peak)
assert own_process.status_bytes('VmRSS') <= now
"""


class OwnProcessTest(absltest.TestCase):
  def test_run_again(self):
    program = self.create_tempfile(content=_PROGRAM.format(path=sys.path))
    done = subprocess.run(
      [sys.executable, program.full_path, '--flag'],
      stdout=subprocess.PIPE,
      text=True,
      check=True,
    )
    result, error = json.loads(done.stdout.splitlines()[-1])
    self.assertEqual(result, ['--flag', '--run=1', '--more'])
    self.assertEqual(error, '--run=fail failed:\nit broke\n')

  def test_memory(self):
    # In a process of its own: other tests free memory when they like.
    program = self.create_tempfile(content=_MEMORY.format(path=sys.path))
    subprocess.run([sys.executable, program.full_path], check=True)


if __name__ == '__main__':
  absltest.main()
