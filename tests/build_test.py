"""BUILD and the requirement sets say what the files themselves say."""

import ast
import graphlib
import pathlib
import re

from absl.testing import absltest

ROOT = pathlib.Path(__file__).parents[1]
TREES = ['benchmarks', 'tests', 'tfp_cglow', 'train']


def source_files():
  """Every Python file of the project: {'a/b.py': its syntax tree}."""
  return {
    path.relative_to(ROOT).as_posix(): ast.parse(path.read_text('utf-8'))
    for tree in TREES
    for path in (ROOT / tree).rglob('*.py')
  }


def build_targets():
  """Runs BUILD, which is also Python: {target: its fields and its rule}."""
  targets = {}

  def rule(kind):
    return lambda name, **fields: targets.update({name: {**fields, **kind}})

  scope = {
    'py_library': rule({'rule': 'py_library'}),
    'py_test': rule({'rule': 'py_test'}),
    **{f: lambda *a, **k: [] for f in ['glob', 'licenses', 'load', 'package']},
  }
  exec((ROOT / 'BUILD').read_text('utf-8'), scope)
  return targets


def imported_files(tree, files):
  """Those of `files` that a file with this syntax tree imports."""
  found = set()
  for node in ast.walk(tree):
    if isinstance(node, ast.Import):
      candidates = [[alias.name] for alias in node.names]
    elif isinstance(node, ast.ImportFrom):
      # The first that is a file: a module of the package, else the package.
      candidates = [
        [f'{node.module}.{a.name}', node.module] for a in node.names
      ]
    else:
      continue
    for names in candidates:
      stems = [name.replace('.', '/') for name in names]
      paths = [s + end for s in stems for end in ('.py', '/__init__.py')]
      found.update([path for path in paths if path in files][:1])
  return found


def requirement_names(lines):
  """The packages that requirement lines name, in one spelling."""
  lines = [line.strip() for line in lines]
  return {
    re.match(r'[\w.-]+', line).group().lower().replace('_', '-')
    for line in lines
    if line and not line.startswith('#')
  }


class BuildTest(absltest.TestCase):
  @classmethod
  def setUpClass(cls):
    super().setUpClass()
    cls.files = source_files()
    cls.targets = build_targets()

  def test_every_file_has_its_target(self):
    expected = {}
    for path in self.files:
      name = re.sub(r'(/__init__)?\.py$', '', path)
      rule = 'py_test' if path.endswith('_test.py') else 'py_library'
      expected[name] = (rule, [path])
    self.assertEqual(
      expected, {n: (t['rule'], t['srcs']) for n, t in self.targets.items()}
    )

  def test_deps_are_the_imported_modules(self):
    for name, target in self.targets.items():
      (source,) = target['srcs']
      imported = imported_files(self.files[source], self.files) - {source}
      deps = [d.lstrip(':') for d in target.get('deps', [])]
      with self.subTest(name):
        self.assertCountEqual(
          [re.sub(r'(/__init__)?\.py$', '', path) for path in imported], deps
        )

  def test_deps_have_no_cycle(self):
    graph = {
      n: [d.lstrip(':') for d in t.get('deps', [])]
      for n, t in self.targets.items()
    }
    graphlib.TopologicalSorter(graph).prepare()  # CycleError names the cycle.

  def test_a_test_is_slow_or_has_a_smaller_size(self):
    for name, target in self.targets.items():
      if target['rule'] == 'py_test':
        slow = 'slow' in target.get('tags', [])
        self.assertEqual(target['size'] == 'large', slow, name)

  def test_no_relative_imports(self):
    for path, tree in self.files.items():
      for node in ast.walk(tree):
        relative = isinstance(node, ast.ImportFrom) and node.level
        self.assertFalse(relative, f'{path} imports relatively')

  def test_test_files_run_their_tests_as_programs(self):
    """Bazel runs a test file as a program: without a main it tests nothing."""
    for path, tree in self.files.items():
      if path.endswith('_test.py'):
        last = ast.unparse(tree.body[-1])
        self.assertRegex(last, r"^if __name__ == '__main__':\n", path)
        self.assertIn('main(', last.split('\n', 1)[1], path)

  def test_tests_are_not_packages(self):
    """A package `tests/train` would hide `train` from the tests beside it."""
    inits = [p for p in self.files if re.match('tests/.*__init__.py', p)]
    self.assertEmpty(inits)

  def test_sources_are_packages(self):
    """setup.py finds packages by their `__init__.py`."""
    for path in self.files:
      parent, _, _ = path.rpartition('/')
      if not path.startswith(('tests/', 'benchmarks/')):
        self.assertIn(f'{parent}/__init__.py', self.files)


class RequirementsTest(absltest.TestCase):
  def test_sets_have_all_that_setup_requires(self):
    tree = ast.parse((ROOT / 'setup.py').read_text('utf-8'))
    lists = {
      node.targets[0].id: requirement_names(ast.literal_eval(node.value))
      for node in tree.body
      if isinstance(node, ast.Assign) and isinstance(node.value, ast.List)
    }
    for name, missing in [('latest', {'tensorflow-io'}), ('tfio', set())]:
      with self.subTest(name):
        lines = (ROOT / f'requirements/{name}.txt').read_text().splitlines()
        installed = requirement_names(lines)
        self.assertEqual(missing, lists['REQUIRED'] - installed)

  def test_the_tfio_extra_is_the_tfio_set(self):
    setup = (ROOT / 'setup.py').read_text('utf-8')
    pins = (ROOT / 'requirements/tfio.txt').read_text('utf-8')
    for pin in re.findall(r"'(\S+==\S+);", setup):
      self.assertIn(f'{pin}\n', pins)


if __name__ == '__main__':
  absltest.main()
