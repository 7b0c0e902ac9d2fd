"""Writes a Triton model repository for an exported SavedModel.

  python examples/serving/triton/write_repository.py runs/demo/export/1 \
    triton_models --signatures=sample,next_frame

Each signature becomes a model, NAME-SIGNATURE, of `python_backend`. Triton
starts a process for each model, which loads the export from its own folder; so
choose those that you need.
"""

import argparse
import json
import os
import pathlib
import shutil
import sys

_HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(_HERE.parent))

import savedmodel_v2  # noqa: E402

__all__ = ['config_text', 'write']


def config_text(name, model, signature, export):
  """The text of config.pbtxt.

  Args:
    name: `str`, the model's name, which is its folder's.
    model: `savedmodel_v2.Model`.
    signature: `str`.
    export: `str`, path of the SavedModel where Triton runs.

  Returns:
    `str`. The batch is a dimension like others (`max_batch_size: 0`), because
    requests are answered one by one.
  """
  # JSON's texts are texts of the protocol-buffer format, too.
  lines = [
    f'name: {json.dumps(name)}',
    'backend: "python"',
    'max_batch_size: 0',
  ]
  for field, specs in (
    ('input', model.inputs(signature)),
    ('output', model.outputs(signature)),
  ):
    for key, (datatype, shape) in specs.items():
      dims = ', '.join(str(d) for d in shape)
      lines.append(
        f'{field} {{ name: "{key}" data_type: TYPE_{datatype} '
        f'dims: [ {dims} ] }}'
      )
  for key, value in (('signature', signature), ('export', export)):
    text = json.dumps(value, ensure_ascii=False)
    lines.append(
      f'parameters {{ key: "{key}" value {{ string_value: {text} }} }}'
    )
  return '\n'.join(lines) + '\n'


def write(export, folder, name='cglow', signatures=None, seen_as=None):
  """Writes the models' folders.

  Args:
    export: Path of the SavedModel.
    folder: Path of the repository.
    name: `str`, the beginning of the models' names.
    signatures: List of `str`, or None or empty for all.
    seen_as: `str`, path of the SavedModel where Triton runs; None: the same.

  Raises:
    ValueError: if there is no export, no such signature, or a folder exists.
  """
  model = savedmodel_v2.Model(export)
  known = [s for s in model.signatures if s != 'serving_default']
  signatures = signatures or known
  if not set(signatures) <= set(known):
    raise ValueError(f'Expected signatures of {known}, but got {signatures}.')
  for signature in signatures:
    one = f'{name}-{signature}'
    target = pathlib.Path(folder) / one
    if target.exists():
      raise ValueError(f'Expected a new folder, but there is {target}.')
    (target / '1').mkdir(parents=True)
    for path in (_HERE / 'model.py', _HERE.parent / 'savedmodel_v2.py'):
      shutil.copy(path, target / '1')
    text = config_text(one, model, signature, seen_as or export)
    (target / 'config.pbtxt').write_text(text, 'utf-8')


def main(arguments):
  parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
  parser.add_argument('export', help='Folder of a SavedModel, as export/1.')
  parser.add_argument('folder', help='The repository; its models are new.')
  parser.add_argument('--name', default='cglow')
  parser.add_argument('--signatures', default='', help='Names; default: all.')
  parser.add_argument(
    '--seen_as', help='Path of the export where Triton runs; default: the same.'
  )
  options = parser.parse_args(arguments)
  try:
    write(
      options.export,
      options.folder,
      options.name,
      [s for s in options.signatures.split(',') if s],
      options.seen_as or os.path.abspath(options.export),
    )
  except (ValueError, OSError) as e:
    return f'write_repository: {e}'
  return 0


if __name__ == '__main__':
  result = main(sys.argv[1:])
  if isinstance(result, str):
    print(result, file=sys.stderr)
    result = 2
  sys.exit(result)
