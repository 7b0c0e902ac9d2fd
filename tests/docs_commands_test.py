"""README's and docs' commands: all are parsed, the cheap ones are run.

`NOT_RUN` says of every command that is not run here why. A command that no
entry fits, and an entry that fits no command, fail.
"""

import ast
import contextlib
import functools
import io
import os
import pathlib
import re
import shlex
import shutil
import subprocess
import sys

from absl import flags
from absl.testing import absltest
from absl.testing import flagsaver
from absl.testing import parameterized
import numpy as np
import tensorflow as tf

from train import commands
from train import flags as train_flags
from train import main
from train.ablation import ablation_rows
from train.ablation import grid
from train.config import configs
from train.config import fields
from train.config import presets
from train.data.sets import moving_shapes

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = [
  'README.md',
  'CONTRIBUTING.md',
  *sorted(
    p.relative_to(ROOT).as_posix()
    for p in (ROOT / 'docs').rglob('*.md')
    if p.parent.name != 'api'
  ),
]

# Beginnings of commands, the longest that fits counts, and why they are not run
# (all of train.main's, the benchmarks' and make's are parsed).
NOT_RUN = {
  '.venv/bin/python -m pytest': 'the test runner itself',
  '.venv/bin/python -m train.main': 'the demo, `make demo`',
  'TF_CONFIG=': 'needs two machines; tests/train/loop/workers_test.py has two',
  'bash .ci/run': 'CI itself',
  'curl': 'needs a server; tests/client_test.py speaks its protocol',
  'docker': 'needs Docker',
  'make': 'CI runs the targets',
  'pip install': 'needs a package index; CI tries the wheel',
  'pre-commit': 'needs the hook program',
  'python -c': 'needs other machines; record_inputs_test.py has the service in '
  'one process',
  'python -m train.main': 'trains for minutes to days, or needs data that are '
  'not here; the modes are run below, and by tests/train',
  'python benchmarks/': 'minutes, on a quiet machine',
  'python benchmarks/speed/sizes.py': 'one is run below, the other is alike',
  'benchmarks/': 'minutes, on a quiet machine',
  'python examples/client.py': 'tests/client_test.py runs it',
  'python examples/serving/server.py': 'tests/v2_server_test.py starts it',
  'python examples/serving/triton/': 'tests/savedmodel_v2_test.py runs it',
  'saved_model_cli': "TensorFlow's own; the signatures are called below",
  'tensorboard': "TensorBoard's own",
}

# Scripts and files that stand in blocks, by their first words, and why their
# lines are no commands to be parsed.
NO_COMMANDS = {
  '#!/bin/bash': 'a Slurm job: bash checks its syntax below',
  'VIDEOS/': 'a folder',
  'MOMENTS/': 'a folder',
  'max_batch_size': "TensorFlow Serving's configuration",
  'B * (k * head': 'a formula',
}

# What is run of docs/videos.md, in this order, in one folder: the beginning of
# the command, and what makes it small.
SMALL = (
  '--preset=smoke --set run.steps=2 --set run.batch_size=2 '
  '--set data.frame_size=16 --set data.num_frames=4 '
  '--set run.eval_every=2 --set run.checkpoint_every=2 '
  '--set run.quality_samples=0 --set run.num_samples=1 '
  '--set run.sample_frames=4 --set model.export_max_frames=none'
)
SPLIT = '--set data.valid_fraction=0.4'
_MAIN = 'python -m train.main'
RUN = [
  (
    f'{_MAIN} --dataset=folder --data_dir=VIDEOS --workdir=runs/mine',
    f'{SMALL} {SPLIT}',
  ),
  (f'{_MAIN} --mode=evaluate', ''),
  (f'{_MAIN} --mode=sample --workdir=runs/mine --labels', ''),
  (f'{_MAIN} --mode=sample --workdir=runs/mine --interpolate', ''),
  (f'{_MAIN} --mode=pack', ''),
  (f'{_MAIN} --mode=prepare', f'--set data.frame_size=16 {SPLIT}'),
  (f'{_MAIN} --dataset=tfrecord', SMALL),
]
LABELS = ('cat', 'dog', 'fish')

# Rows of published tables that were left out since (docs/left_out.md).
LEFT_OUT_ROWS = ('difference',)

# What inline flags and keys may go with: each is of some of these.
CONTEXTS = (
  *(f'--preset={name}' for name in presets.PRESETS),
  *(
    f'--dataset={name}'
    for name in ('shapes', 'folder', 'image_folder', 'celeba', 'tfrecord')
  ),
  '--dataset=tfds:ucf101',
)

# Inline flags that are another program's, or only named.
OTHER_FLAGS = {
  '--enable_batching': 'TensorFlow Serving',
  '--grpc_port': 'KServe',
  '--http_port': 'KServe',
  '--kill-on-bad-exit': 'srun',
  '--max_body_mib': 'examples/serving/server.py',
  '--model_name': 'KServe',
  '--signal': 'sbatch',
  '--strict': 'mkdocs',
  '--help': 'absl',
  '--fps': 'version 0.1',
  '--prepared_dir': 'version 0.1',
  '--pack_dir': 'version 0.1',
}


def _text(page):
  return (ROOT / page).read_text('utf-8')


def _fenced(page):
  """(language, text) of the fenced blocks."""
  return re.findall(r'^```(\S*)\n(.*?)^```', _text(page), re.M | re.S)


def _indented(page):
  """The blocks indented by four spaces."""
  text = re.sub(r'^```.*?^```', '', _text(page), flags=re.M | re.S)
  found = re.findall(r'(?<=\n\n)(?: {4}[^\n]*\n)+', text)
  return [re.sub('^ {4}', '', block, flags=re.M) for block in found]


def _run_python(page, number):
  """Runs one of the page's Python blocks; returns its names."""
  blocks = [text for language, text in _fenced(page) if language == 'python']
  names = {'tf': tf}
  exec(compile(blocks[number], page, 'exec'), names)
  return names


def _shell_blocks(page):
  fenced = [text for language, text in _fenced(page) if language == 'sh']
  return fenced + _indented(page)


def _inline(page):
  text = re.sub(r'^```.*?^```|^ {4}.*?$', '', _text(page), flags=re.M | re.S)
  return re.findall(r'`([^`\n]+)`', text)


def _lines(block):
  """A shell block's commands, with continued lines and quotes joined."""
  command = ''
  for line in block.splitlines():
    command += line + '\n'
    if line.endswith('\\') or command.count("'") % 2:
      continue
    if command.strip():
      yield command.replace('\\\n', ' ').strip()
    command = ''


def _commands(page):
  """Every command of a page, of blocks and inline."""
  for block in _shell_blocks(page):
    if not block.startswith(tuple(NO_COMMANDS)):
      yield from _lines(block)
  programs = ('python ', 'make ', 'benchmarks/', 'pip ', '.venv/bin/')
  for text in _inline(page):
    if text.startswith(programs):
      yield text


ALL = [(page, command) for page in PAGES for command in _commands(page)]


def _arguments(command):
  """A command's arguments, examples in the place of what it leaves open."""
  examples = {'=K': '=4', '=...': '=DIR', 'LAST': '20'}
  for placeholder, example in examples.items():
    command = command.replace(placeholder, example)
  return shlex.split(command, comments=True)


def _parse_train(arguments):
  """The config of `python -m train.main ARGUMENTS`."""
  with flagsaver.flagsaver():
    flags.FLAGS.unparse_flags()
    rest = flags.FLAGS(['main', *arguments])
    if rest[1:]:
      raise ValueError(f'Unexpected arguments: {rest[1:]}.')
    train_flags.check()
    assignments = main._assignments()
    config = commands.make_config(flags.FLAGS.preset, assignments)
    if flags.FLAGS.mode == 'ablate':
      _check_ablation(config, assignments)
    for temperature in flags.FLAGS.temperature:
      float(temperature)
    return config


def _check_ablation(config, assignments):
  names = [r for r in flags.FLAGS.rows if r not in LEFT_OUT_ROWS]
  rows = ablation_rows.rows_for(config.data.num_frames > 1, names)
  plan = grid._Plan(flags.FLAGS.preset, tuple(assignments), 1, ('python',))
  grid._check(assignments, flags.FLAGS.seeds, flags.FLAGS.jobs)
  for cell in ablation_rows.cells_of(rows, 1, 'runs'):
    plan.config_of(cell)


@functools.cache
def _benchmark_flags(path):
  """Names of the flags that a script defines, and values of its choices."""
  names = {}
  for node in ast.walk(ast.parse((ROOT / path).read_text('utf-8'))):
    name = getattr(getattr(node, 'func', None), 'attr', '')
    if name.startswith('DEFINE_') or name == 'add_argument':
      first = ast.literal_eval(node.args[0]).lstrip('-')
      choices = None
      if name == 'DEFINE_enum' and isinstance(node.args[2], ast.List):
        choices = ast.literal_eval(node.args[2])
      names[first] = choices
  return names


def _check_script(arguments):
  path, *rest = arguments
  known = _benchmark_flags(path)
  for argument in rest:
    if not argument.startswith('--'):
      continue
    name, _, value = argument[2:].partition('=')
    names = (*known, *main.flags.FLAGS, *(f[2:] for f in OTHER_FLAGS))
    if name not in names:
      raise ValueError(f'{path} has no flag --{name}.')
    if known.get(name) and value not in known[name]:
      raise ValueError(f'--{name} of {path} is one of {known[name]}.')


def _check_make(arguments):
  targets = re.findall(r'^([\w-]+):', _text('Makefile'), re.M)
  for target in arguments:
    if '=' not in target and target not in targets:
      raise ValueError(f'Makefile has no target {target}.')


def _check(command):
  """Raises an error for a command that its program would refuse."""
  words = _arguments(re.sub(r'^TF_CONFIG=.*? python', 'python', command))
  words = [re.sub(r'^\.venv/bin/', '', word) for word in words]
  if words[:3] == ['python', '-m', 'train.main']:
    _parse_train(words[3:])
  elif words and words[0] == 'python' and words[1].endswith('.py'):
    _check_script(words[1:])
  elif words and words[0].startswith('benchmarks/'):
    _check_script(words)
  elif words and words[0] == 'make':
    _check_make(words[1:])


def _reason(command):
  fitting = [k for k in NOT_RUN if command.startswith(k)]
  return max(fitting, key=len, default=None)


def _with_mode(text):
  """The arguments of inline flags, with the mode that they are for."""
  arguments = _arguments(text)
  names = {a[2:].partition('=')[0] for a in arguments if a.startswith('--')}
  of = train_flags._MODES_OF
  modes = [of[name][0] for name in names if name in of]
  if modes and 'mode' not in names:
    arguments.append(f'--mode={modes[0]}')
  return arguments


def _parse_in_context(arguments):
  """Raises the error of the arguments, unless some preset or data fit them."""
  errors = []
  for context in ('--seed=0', *CONTEXTS):
    try:
      return _parse_train([context, *arguments])
    except fields.ConfigError as e:
      errors.append(e)
  raise errors[0]


def _keys(cls=configs.Config, prefix=''):
  """Every key that some config has, with its kinds: pairs."""
  for name, field in fields.fields_of(cls).items():
    yield f'{prefix}{name}', field.kinds
    for kind in field.kinds:
      yield from _keys(kind, f'{prefix}{name}.')


class ParsedTest(parameterized.TestCase):
  @parameterized.named_parameters(
    (f'{i}_{page}', command) for i, (page, command) in enumerate(ALL)
  )
  def test_command(self, command):
    _check(command)
    self.assertIsNotNone(_reason(command), f'NOT_RUN has no reason: {command}')

  def test_reasons_are_needed(self):
    used = {_reason(command) for _, command in ALL}
    self.assertEmpty(set(NOT_RUN) - used)
    blocks = [b for page in PAGES for b in _shell_blocks(page)]
    for start in NO_COMMANDS:
      self.assertTrue(any(b.startswith(start) for b in blocks), start)

  @parameterized.parameters(PAGES)
  def test_inline_flags(self, page):
    for text in _inline(page):
      if not text.startswith('--') or text == '--':
        continue
      name = re.match(r'--([\w-]+)', text)
      with self.subTest(text):
        if name and name[0] in OTHER_FLAGS:
          continue
        self.assertIn(name[1], flags.FLAGS)
        if '=' in text:
          _parse_in_context(_with_mode(text))

  @parameterized.parameters(PAGES)
  def test_inline_keys(self, page):
    known = {key for key, _ in _keys()}
    for text in _inline(page):
      key, separator, value = text.partition('=')
      if key == 'model.py':  # A file.
        continue
      if re.fullmatch(r'(data|model|optimiser|run)(\.\w+)+', key):
        with self.subTest(text):
          self.assertIn(key, known)
          if value:
            _parse_in_context([f'--set={text}'])

  def test_configuration_in_python(self):
    names = _run_python('docs/configuration.md', 0)
    self.assertEqual(names['config'].data.name, 'shapes:motion')

  def test_configuration_has_every_key(self):
    named = set(_inline('docs/configuration.md'))
    for key, kinds in _keys():
      self.assertIn(key.split('.')[-1], {n.split('.')[-1] for n in named})
      if len(kinds) > 1:
        self.assertContainsSubset(map(fields.kind_name, kinds), named)

  @parameterized.parameters(PAGES)
  def test_shell_syntax(self, page):
    for block in _shell_blocks(page):
      if block.startswith(tuple(NO_COMMANDS)) and not block.startswith('#!'):
        continue
      done = subprocess.run(
        ['bash', '-n'], input=block, text=True, capture_output=True
      )
      self.assertEqual((done.returncode, done.stderr), (0, ''), block)

  @parameterized.parameters(
    'python -m train.main --no_such_flag',
    'python -m train.main --preset=papper',
    'python -m train.main --set run.stepz=3',
    'python -m train.main --set data.fps=3',  # Of another data set.
    'python -m train.main --labels=cat',  # Of another mode.
    'python -m train.main --mode=ablate --rows=no_such_row',
    'python benchmarks/speed/sizes.py --no_such_flag',
    'benchmarks/speed/glow_step.py --sweep=width',
    'make no-such-target',
  )
  def test_a_wrong_command_is_noticed(self, command):
    errors = (ValueError, flags.Error, main.app.UsageError, fields.ConfigError)
    with self.assertRaises(errors):
      _check(command)

  def test_presets_are_named(self):
    text = ''.join(map(_text, PAGES))
    for preset in presets.PRESETS:
      found = re.search(rf'`[^`\n]*\b{preset}\b[^`\n]*`', text)
      self.assertIsNotNone(found, preset)


@absltest.skipUnless(
  os.environ.get('TFP_CGLOW_RUN_DOCS'), 'Takes minutes: `make test-docs`.'
)
class RunTest(absltest.TestCase):
  def test_counted_sizes(self):
    command = next(
      c for _, c in ALL if c.startswith('python benchmarks/speed/sizes')
    )
    done = subprocess.run(
      [sys.executable, *_arguments(command)[1:]],
      cwd=ROOT,
      env={**os.environ, 'PYTHONPATH': os.pathsep.join(sys.path)},
      stdout=subprocess.PIPE,
      text=True,
      check=True,
    )
    rows = done.stdout.strip().splitlines()
    self.assertContainsSubset(rows, _text('docs/sizes.md').splitlines())
    self.assertGreater(len(rows), 6)

  def test_small(self):
    folder = self.create_tempdir().full_path
    rng = np.random.default_rng(0)
    for label in LABELS:
      os.makedirs(os.path.join(folder, 'VIDEOS', label))
      for i in range(8):
        frames = rng.integers(0, 256, [4, 16, 16, 3]).astype(np.uint8)
        path = os.path.join(folder, 'VIDEOS', label, f'{i}.mp4')
        moving_shapes.write_video(path, frames)
    with _chdir(folder):
      for start, more in RUN:
        page = 'docs/videos.md'
        command = next(c for c in _commands(page) if c.startswith(start))
        with self.subTest(command):
          self.assertEqual(self._run(f'{command} {more}'), 0)
      shutil.copy('VIDEOS/cat/0.mp4', 'clip.mp4')
      for number in (0, 1):
        _run_python('docs/videos.md', number)
      self._run_main(['--mode=export', '--workdir=runs/mine'])
      os.chdir('runs/mine')
      _run_python('docs/serving.md', -1)

  def _run(self, command):
    return self._run_main(_arguments(command)[3:])

  def _run_main(self, arguments):
    with flagsaver.flagsaver(), contextlib.redirect_stdout(io.StringIO()):
      flags.FLAGS.unparse_flags()
      flags.FLAGS(['main', *arguments])
      return main.main(['main'])


@contextlib.contextmanager
def _chdir(folder):
  before = os.getcwd()
  os.chdir(folder)
  try:
    yield
  finally:
    os.chdir(before)


if __name__ == '__main__':
  absltest.main()
