"""Writes BUILD from the imports of the project's files.

    python .ci/gen_build.py          rewrites BUILD
    python .ci/gen_build.py --check  fails if BUILD is not current

A test file becomes a `py_test`, any other file a `py_library`, and a target's
deps are the project's modules that its file imports. `from package import
module` is an import of the module alone: the package's own `__init__` imports
every module, so a dependency on it would be a cycle.
"""

import argparse
import ast
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[1]
TREES = ['benchmarks', 'tests', 'tfp_cglow', 'train']

# The fast tests and their sizes. Any other is large and tagged slow: CI's Bazel
# leaves it to pytest, which runs everything.
FAST = {
  'tests/build_test': 'small',
  'tests/tfp_cglow/bijectors/conditioned_test': 'medium',
  'tests/tfp_cglow/bijectors/context_affine_test': 'medium',
  'tests/tfp_cglow/bijectors/levels/context_mixture_test': 'medium',
  'tests/tfp_cglow/video/context_processor_test': 'medium',
  'tests/tfp_cglow/networks/context_pyramid_test': 'medium',
  'tests/tfp_cglow/video/conv_gru_test': 'medium',
  'tests/tfp_cglow/bijectors/coupling_test': 'medium',
  'tests/tfp_cglow/bijectors/levels/grid_mixture_test': 'medium',
  'tests/tfp_cglow/networks/convolutional_test': 'medium',
  'tests/tfp_cglow/training/step_guard_test': 'medium',
  'tests/tfp_cglow/training/weight_average_test': 'medium',
  'tests/train/ablation/ablation_rows_test': 'small',
  'tests/train/config/configs_test': 'small',
  'tests/train/evaluation/held_out_table_test': 'small',
  'tests/train/evaluation/judges/shape_fit_test': 'medium',
  'tests/train/evaluation/judges/shapes_test': 'medium',
  'tests/train/storage/files_test': 'small',
  'tests/train/loop/interrupts_test': 'medium',
  'tests/train/evaluation/paired_test': 'small',
  'tests/train/loop/parameter_watch_test': 'medium',
  'tests/train/loop/progress_test': 'medium',
  'tests/train/loop/recovery_test': 'medium',
  'tests/train/evaluation/references_test': 'medium',
  'tests/train/report/curves_test': 'small',
  'tests/train/report/figures_test': 'small',
  'tests/train/report/held_out_test': 'small',
  'tests/train/report/reproduce_test': 'medium',
  'tests/train/report/run_data_test': 'small',
  'tests/train/storage/run_folder_test': 'small',
  'tests/train/storage/lock_test': 'small',
  'tests/train/samples/sample_files_test': 'small',
  'tests/train/data/sources_test': 'medium',
  'tests/train/loop/workers_test': 'medium',
}

# Further fields of a target, as BUILD's text.
FIELDS = {
  'tests/build_test': {
    'data': """glob([
        "benchmarks/**/*.py",
        "requirements/*.txt",
        "tests/**/*.py",
        "tfp_cglow/**/*.py",
        "train/**/*.py",
    ]) + [
        "BUILD",
        "setup.py",
    ]""",
    # Bazel's own empty __init__.py files are not the project's.
    'legacy_create_init': '0',
  },
  'tests/pretrained_test': {
    'data': 'glob(["examples/pretrained/**"])',
  },
  'tests/docs_commands_test': {
    'data': """glob([
        "benchmarks/**/*.py",
        "docs/**/*.md",
        "examples/*.py",
    ]) + [
        "CONTRIBUTING.md",
        "Makefile",
        "README.md",
    ]""",
  },
  'tests/docs_test': {
    'data': """glob([
        "docs/**",
        "examples/*",
    ]) + [
        "CHANGELOG.md",
        "CITATION.cff",
        "CONTRIBUTING.md",
        "README.md",
        "mkdocs.yml",
        "setup.py",
    ]""",
  },
  'tests/examples_test': {'data': '["README.md"]'},
  'tests/train/console_test': {'data': '["setup.py"]'},
  'tests/train/errors_test': {'data': 'glob(["train/**/*.py"])'},
  'train/report/page': {'data': 'glob(["train/report/templates/*"])'},
}

HEADER = '''\
"""Written by `make build-file` from the files' imports: do not edit."""

load("@rules_python//python:defs.bzl", "py_library", "py_test")

licenses(["notice"])

package(default_visibility = ["//visibility:public"])
'''


def target_name(path):
  """`a/b.py` is target `a/b`; the package `a/__init__.py` is target `a`."""
  name = path.relative_to(ROOT).with_suffix('')
  return str(name.parent if name.name == '__init__' else name)


def imported_names(tree, package):
  """Yields (module, name or None) for each import in a file of `package`."""
  for node in ast.walk(tree):
    if isinstance(node, ast.Import):
      yield from ((alias.name, None) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
      parents = package[: len(package) - node.level + 1] if node.level else []
      module = '.'.join([*parents, *filter(None, [node.module])])
      yield from ((module, alias.name) for alias in node.names)


def find_deps(path, targets):
  """The targets, of those given, whose files the file at `path` imports."""
  package = path.relative_to(ROOT).parts[:-1]
  tree = ast.parse(path.read_text('utf-8'), str(path))
  deps = set()
  for module, name in imported_names(tree, package):
    module = module.replace('.', '/')
    submodule = f'{module}/{name}'
    deps.add(submodule if submodule in targets else module)
  return (deps & targets) - {target_name(path)}


def format_list(strings):
  if len(strings) == 1:
    return f'["{strings[0]}"]'
  return '[\n' + ''.join(f'        "{s}",\n' for s in strings) + '    ]'


def format_target(path, targets):
  name = target_name(path)
  is_test = path.name.endswith('_test.py')
  fields = {
    'name': f'"{name}"',
    'size': f'"{FAST.get(name, "large")}"' if is_test else None,
    'testonly': 'True' if name.startswith('tests/') and not is_test else None,
    'srcs': format_list([path.relative_to(ROOT).as_posix()]),
    **FIELDS.get(name, {}),
    'tags': format_list(['slow']) if is_test and name not in FAST else None,
    'deps': format_list([f':{d}' for d in sorted(find_deps(path, targets))]),
  }
  if fields['deps'] == format_list([]):
    del fields['deps']
  lines = [f'    {k} = {v},\n' for k, v in fields.items() if v]
  return f'{"py_test" if is_test else "py_library"}(\n{"".join(lines)})\n'


def generate():
  """The text of BUILD."""
  paths = sorted(p for tree in TREES for p in (ROOT / tree).rglob('*.py'))
  targets = {target_name(p) for p in paths}
  unknown = sorted((FAST.keys() | FIELDS.keys()) - targets)
  if unknown:
    sys.exit(f'gen_build.py: FAST or FIELDS name missing files: {unknown}')
  return '\n'.join([HEADER, *(format_target(p, targets) for p in paths)])


def main():
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('--check', action='store_true', help='write nothing')
  check = parser.parse_args().check
  build = ROOT / 'BUILD'
  text = generate()
  if not check:
    build.write_text(text, 'utf-8')
  elif text != build.read_text('utf-8'):
    sys.exit('BUILD is not current: run `make build-file`.')


if __name__ == '__main__':
  main()
