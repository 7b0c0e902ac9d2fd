"""Thousands of valid and invalid requests to an exported model.

  python benchmarks/drills/fuzz_requests.py --requests=10000

Requests go to the SavedModel through a session, as TensorFlow Serving's do:
nothing checks names, shapes and dtypes before the graph does. A valid request
must get finite values of the documented dtypes and shapes. An invalid one (a
wrong shape, dtype or value, or a missing input) must be refused by an
InvalidArgumentError with a message. A merely extreme one may get either. Prints
JSON; exits with 1 if a request got another result or if memory grew. Needs
Linux.
"""

import collections
import gc
import json
import os
import sys
import tempfile

from absl import app
from absl import flags
import numpy as np

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
sys.path.insert(
  0,
  os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
)

from benchmarks import own_process  # noqa: E402

_REQUESTS = flags.DEFINE_integer('requests', 10_000, 'Number of requests.')
_SEED = flags.DEFINE_integer('seed', 0, 'Seed of the requests.')
_MAX_GROWTH = flags.DEFINE_float(
  'max_growth_mib', 16.0, 'Largest growth of memory.'
)

_NUM_LABELS, _MAX_FRAMES, _MAX_ROWS = 3, 6, 4
_DTYPES = ('int32', 'int64', 'uint8', 'float32', 'float64', 'bool', 'S')
_NOT_FINITE = (np.nan, np.inf, -np.inf)


class Server:
  """The signatures of a SavedModel in a session."""

  def __init__(self, path):
    import tensorflow as tf

    # The session's own call, without checks that a server does not have.
    from tensorflow.python.client import pywrap_tf_session

    self._run = pywrap_tf_session.TF_SessionRun_wrapper
    self.graph = tf.Graph()
    with self.graph.as_default():
      self._session = tf.compat.v1.Session(graph=self.graph)
      loaded = tf.compat.v1.saved_model.load(self._session, ['serve'], path)
    self.signatures = dict(loaded.signature_def)

  def _native(self, info):
    return self.graph.get_tensor_by_name(info.name)._as_tf_output()  # pylint: disable=protected-access

  def __call__(self, name, inputs):
    signature = self.signatures[name]
    values = self._run(
      self._session._session,  # pylint: disable=protected-access
      None,
      {self._native(signature.inputs[k]): v for k, v in inputs.items()},
      [self._native(info) for info in signature.outputs.values()],
      [],
      None,
    )
    return dict(zip(signature.outputs, values))


def _spec(info):
  """Shape (-1 where it is free) and NumPy dtype of an input or output."""
  import tensorflow as tf

  shape = [d.size for d in info.tensor_shape.dim]
  return shape, tf.as_dtype(info.dtype).as_numpy_dtype


def _right_request(rng, signature, num_rows=None):
  """A request that must be answered."""
  num_rows = num_rows or int(rng.integers(1, _MAX_ROWS + 1))
  length = int(rng.integers(2, _MAX_FRAMES + 1))
  request = {}
  for name, info in sorted(signature.inputs.items()):
    shape, dtype = _spec(info)
    free = [num_rows, length]
    shape = [free[i] if d < 0 else d for i, d in enumerate(shape)]
    if dtype == np.uint8:
      value = rng.integers(0, 256, shape)
    elif name == 'labels':
      value = rng.integers(0, _NUM_LABELS, shape)
    elif name == 'seed':
      value = rng.integers(-(2**31), 2**31, shape)
    elif name == 'num_frames':
      value = np.full(shape, rng.integers(length, _MAX_FRAMES + 1))
    elif name == 'frame_index':
      value = rng.integers(0, 2**31 - 1, shape)
    elif name == 'temperature':
      value = rng.uniform(0.0, 1.5, shape)
    elif name == 'min_p':
      value = rng.uniform(0.0, 0.9, shape)
    else:
      value = rng.standard_normal(shape)
    request[name] = np.asarray(value, dtype)
  return request


# Each makes a valid request invalid; False: it has no such input.


def _missing(rng, request):
  del request[rng.choice(sorted(request))]


def _wrong_dtype(rng, request):
  name = rng.choice(sorted(request))
  others = [d for d in _DTYPES if np.dtype(d) != request[name].dtype]
  dtype = str(rng.choice(others))
  if dtype == 'S':
    request[name] = np.full(request[name].shape, b'x', object)
  else:
    with np.errstate(invalid='ignore'):
      request[name] = np.asarray(request[name].astype(dtype))


def _wrong_rank(rng, request):
  name = rng.choice(sorted(request))
  value = request[name]
  if rng.random() < 0.5:
    request[name] = value[0]
  else:
    request[name] = value[np.newaxis]


def _wrong_size(rng, request):
  """A wrong size of a dimension that is neither rows nor frames."""
  names = [k for k, v in request.items() if v.ndim in (2, 4, 5)]
  names += ['latents'] if 'latents' in request else []
  if not names:
    return False
  name = rng.choice(sorted(names))
  low = {2: 1, 3: 2, 4: 1, 5: 2}[request[name].ndim]
  axis = int(rng.integers(low, request[name].ndim))
  length = int(rng.choice([0, 1, 2 * request[name].shape[axis]]))
  index = np.arange(length) % request[name].shape[axis]
  before = request[name].shape
  request[name] = np.take(request[name], index, axis)
  return request[name].shape != before


def _wrong_rows(rng, request):
  names = sorted(request)
  if len(names) < 2:
    return False
  name = rng.choice(names)
  num_rows = len(request[name])
  other = int(rng.choice([k for k in range(6) if k != num_rows]))
  index = np.arange(other) % num_rows
  request[name] = request[name][index]


def _wrong_batch(rng, request):
  num_rows = int(rng.choice([0, _MAX_ROWS + 1, 3 * _MAX_ROWS]))
  for name, value in request.items():
    request[name] = value[np.arange(num_rows) % len(value)]


def _wrong_length(rng, request):
  """A wrong length of frames or latents, or a wrong num_frames."""
  names = [k for k in ('frames', 'latents', 'num_frames') if k in request]
  if not names:
    return False
  name = rng.choice(names)
  too_many = int(rng.choice([_MAX_FRAMES + 1, 3 * _MAX_FRAMES]))
  if name == 'num_frames':
    given = request['frames'].shape[1] if 'frames' in request else 1
    bad = [given - 1, 0, -1, -(2**31), too_many, 2**31 - 1]
    # One row's, which then differs from others, or all rows'.
    rows = rng.choice([1, len(request[name])])
    request[name][:rows] = rng.choice(bad)
  else:
    length = int(rng.choice([0, too_many]))
    index = np.arange(length) % request[name].shape[1]
    request[name] = request[name][:, index]


def _wrong_value(rng, request):
  bad = {
    'labels': (-1, _NUM_LABELS, 2**31 - 1, -(2**31)),
    'frame_index': (-1, -(2**31), 2**31 - 1),
    'temperature': (-1e-3, -1e30, *_NOT_FINITE),
    'min_p': (-1e-3, 1.0, 1e30, *_NOT_FINITE),
    'state_map': _NOT_FINITE,
    'latents': _NOT_FINITE,
  }
  names = sorted(set(bad) & set(request))
  if not names:
    return False
  name = rng.choice(names)
  flat = request[name].reshape(-1).copy()
  flat[rng.integers(flat.size)] = rng.choice(bad[name])
  request[name] = flat.reshape(request[name].shape)


def _extreme(rng, request):
  names = sorted({'temperature', 'state_map', 'latents'} & set(request))
  if not names:
    return False
  name = rng.choice(names)
  factor = np.float32(10.0 ** rng.uniform(1.0, 38.0))
  with np.errstate(over='ignore'):
    value = request[name] * factor
  request[name] = np.clip(value, -3e38, 3e38).astype(np.float32)


_WRONG = (
  _missing,
  _wrong_dtype,
  _wrong_rank,
  _wrong_size,
  _wrong_rows,
  _wrong_batch,
  _wrong_length,
  _wrong_value,
)


def _fuzzed(rng, signature):
  """A request and its required result: 'answered', 'refused' or 'either'."""
  request = _right_request(rng, signature)
  kind = rng.random()
  if kind < 0.3:
    return request, 'right', 'answered'
  change = _extreme if kind < 0.4 else _WRONG[rng.integers(len(_WRONG))]
  name = change.__name__.strip('_')
  if change(rng, request) is False:
    return _right_request(rng, signature), 'right', 'answered'
  return request, name, 'either' if change is _extreme else 'refused'


def _check_answer(signature, request, answer):
  """The error in an answer, or None."""
  num_rows = len(next(iter(request.values())))
  for name, info in signature.outputs.items():
    shape, dtype = _spec(info)
    value = answer[name]
    expected = [num_rows, *shape[1:]]
    fits = len(expected) == value.ndim and all(
      d in (-1, size) for d, size in zip(expected, value.shape)
    )
    if value.dtype != dtype or not fits:
      return f'{name} is {value.dtype} {value.shape}, not {dtype} {expected}'
    if value.dtype.kind == 'f' and not np.all(np.isfinite(value)):
      return f'{name} is not finite'
  return None


def _resident_mib():
  gc.collect()
  return own_process.status_bytes('VmRSS') / 2**20


def _ask(server, name, request):
  """Calls a signature: (outcome, the answer or the refusal's message)."""
  import tensorflow as tf

  try:
    return 'answered', server(name, request)
  except tf.errors.InvalidArgumentError as e:
    return 'refused', e.message
  except Exception as e:  # pylint: disable=broad-exception-caught
    return type(e).__name__, str(e)


def _fuzz(path):
  server = Server(path)
  rng = np.random.default_rng(_SEED.value)
  names = sorted(server.signatures)
  # The loader's own signature has no inputs.
  names = [n for n in names if server.signatures[n].inputs]
  counts, failures, resident = collections.Counter(), [], []
  for k in range(_REQUESTS.value):
    name = str(rng.choice(names))
    signature = server.signatures[name]
    request, kind, expected = _fuzzed(rng, signature)
    outcome, result = _ask(server, name, request)
    counts[f'{kind}: {outcome}'] += 1
    problem = None
    if outcome != expected and (
      expected != 'either' or outcome not in ('answered', 'refused')
    ):
      problem = f'{outcome}, but expected {expected}: {str(result)[:200]}'
    elif outcome == 'answered':
      problem = _check_answer(signature, request, result)
    elif len(result.split()) < 4:
      problem = f'refused without words: {result}'
    if problem:
      failures.append({'request': k, 'of': name, 'kind': kind, 'is': problem})
    if (k + 1) % max(_REQUESTS.value // 10, 1) == 0:
      resident.append(_resident_mib())
  # The first tenths fill the allocator's pools.
  growth = resident[-1] - resident[len(resident) // 2]
  return {
    'requests': _REQUESTS.value,
    'counts': dict(sorted(counts.items())),
    'failures': failures[:20],
    'num_failures': len(failures),
    'resident_mib': resident,
    'growth_mib': growth,
    'ok': not failures and growth <= _MAX_GROWTH.value,
  }


def main(argv):
  del argv
  from train.config import overrides
  from train.config import presets
  from train.serving import export
  from train.systems.flow import models

  config = overrides.override(
    presets.PRESETS['smoke'],
    ['model.tail.labels=label_priors', 'model.tail.previous_frames=2'],
  )
  flow = models.build_model(config, _NUM_LABELS).flow
  rng = np.random.default_rng(_SEED.value)
  for variable in flow.trainable_variables:
    variable.assign_add(0.05 * rng.standard_normal(variable.shape))
  with tempfile.TemporaryDirectory() as folder:
    path = export.export_model(
      flow, folder, max_frames=_MAX_FRAMES, max_rows=_MAX_ROWS
    )
    result = _fuzz(path)
  print(json.dumps(result, indent=2))
  return 0 if result['ok'] else 1


if __name__ == '__main__':
  app.run(main)
