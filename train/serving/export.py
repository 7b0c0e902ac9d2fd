"""Exports a flow as a SavedModel for serving."""

from __future__ import annotations

import contextlib
import os
import pathlib
import shutil
import tempfile

from absl import logging
import tensorflow as tf

from tfp_cglow.internal import plain_paths
from train.serving import frozen
from train.serving import model_card
from train.serving import request_checks
from train.serving import signatures as signatures_lib
from train.serving import warmup
from train.storage import files
from train.storage import label_names as label_names_lib
from train.storage import lock

__all__ = ['export_model', 'newest_version']

_UNFINISHED = '.unfinished'


def export_model(
  flow,
  folder,
  version=None,
  card=None,
  label_names=None,
  max_frames=256,
  max_rows=64,
  name='cglow',
):
  """Writes `folder/<version>`, a SavedModel in TensorFlow Serving's layout.

  ```none
  saved_model.pb, variables/, fingerprint.pb
  assets/labels.txt                         one label name a line
  assets.extra/tf_serving_warmup_requests   one request for each signature
  model_card.md
  ```

  See `signatures.build_signatures` for its signatures. The version appears
  under its name only when all of it is on the disk.

  Args:
    flow: `VideoFlow`. Its present weights are exported.
    folder: Path, TensorFlow Serving's model folder.
    version: Python `int` >= 1, or None: one more than the largest version.
    card: `dict` of keyword arguments for `model_card.model_card`, or None.
    label_names: List of `str`, or None: '0', '1', ...
    max_frames: Python `int`, most frames that a request may ask for.
    max_rows: Python `int`, most videos that a request may ask for.
    name: Python `str`, the model's name in the warm-up requests.

  Returns:
    The path of the version, `str`.

  Raises:
    ValueError: if an argument does not fit.
    RunFolderError: if the version exists, another export runs, or the folder
      cannot be written.
  """
  files.check_is_local(folder)
  if version is not None and version < 1:
    raise ValueError(f'`version` must be at least 1, but got {version}.')
  label_names = _label_names(flow, label_names)
  limits = request_checks.Limits(max_frames, max_rows)
  functions = signatures_lib.build_signatures(frozen.frozen(flow), limits)
  with _staging(pathlib.Path(folder), version) as (temporary, final):
    _save(functions, label_names, temporary)
    warmup.write_warmup(temporary, functions, name)
    text = model_card.model_card(
      flow, limits, functions, label_names, **(card or {})
    )
    (temporary / 'model_card.md').write_text(text, 'utf-8')
  logging.info('Exported %s, with requests limited to %s.', final, limits)
  return str(final)


def newest_version(folder):
  """The largest version in an export folder, or None."""
  path = pathlib.Path(folder)
  names = os.listdir(path) if path.is_dir() else []
  versions = [int(n) for n in names if n.isascii() and n.isdigit()]
  return max(versions, default=None)


def _label_names(flow, names):
  if flow.num_labels is None:
    return None
  names = [str(k) for k in range(flow.num_labels)] if names is None else names
  if len(names) != flow.num_labels:
    raise ValueError(
      f'Expected {flow.num_labels} label names, but got {len(names)}.'
    )
  label_names_lib.check(names, 'the model')
  return list(names)


@contextlib.contextmanager
def _staging(folder, version):
  """Yields a hidden folder that is renamed to the version at the end."""
  with files.reporting(folder):
    folder.mkdir(parents=True, exist_ok=True)
  with lock.RunLock(folder), files.reporting(folder):
    version = version or (newest_version(folder) or 0) + 1
    final = folder / str(version)
    _check_is_new(final)
    temporary = folder / _UNFINISHED
    shutil.rmtree(temporary, ignore_errors=True)  # Left by a killed export.
    with files.replacing(final, temporary):
      temporary.mkdir()
      yield temporary, final
      _sync_tree(temporary)
      # A version is never replaced: a server may be reading it.
      _check_is_new(final)
    files.sync(folder)


def _check_is_new(final):
  if final.exists():
    raise files.RunFolderError(
      f'Version {final.name} exists in {final.parent}; expected a new version '
      f'such as {newest_version(final.parent) + 1}.'
    )


def _sync_tree(folder):
  """Writes everything below a folder to the disk."""
  for path, _, names in os.walk(folder):
    for name in names:
      files.sync(os.path.join(path, name))
    files.sync(path)


def _save(functions, label_names, path):
  module = tf.Module()
  variables = [v for f in functions.values() for v in f.variables]
  module.weights = list({id(v): v for v in variables}.values())
  default = signatures_lib.default_signature(functions)
  with tempfile.TemporaryDirectory() as folder:
    if label_names is not None:
      labels_file = pathlib.Path(folder) / 'labels.txt'
      text = label_names_lib.to_text(label_names)
      labels_file.write_bytes(text.encode('utf-8'))
      module.labels = tf.saved_model.Asset(plain_paths.plain(labels_file))
    tf.saved_model.save(
      module,
      plain_paths.plain(path),
      signatures={**functions, 'serving_default': functions[default]},
    )
