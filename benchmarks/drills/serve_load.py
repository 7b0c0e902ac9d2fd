"""Many requests of several clients to the server of the protocol v2.

  python benchmarks/drills/serve_load.py --requests=2000 --clients=8

Starts `examples/serving/server.py` on loopback, for --export or for a model of
the preset `smoke` with random weights. Clients ask at once, over REST and gRPC
in turn, for signatures in turn. An answer must equal the first one to the same
request. Prints JSON; exits with 1 after an error, a different answer, or growth
of the server's memory. Needs Linux and what requirements/serving.txt names.
"""

import collections
from concurrent import futures
import importlib.util
import json
import os
import pathlib
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
import urllib.request

from absl import app
from absl import flags
import numpy as np

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '3')
_ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(_ROOT))

from benchmarks import own_process  # noqa: E402

_REQUESTS = flags.DEFINE_integer('requests', 2000, 'Number of requests.')
_CLIENTS = flags.DEFINE_integer('clients', 8, 'Clients that ask at once.')
_EXPORT = flags.DEFINE_string('export', None, 'Such as export/1.')
_MAX_GROWTH = flags.DEFINE_float(
  'max_growth_mib', 32.0, 'Largest growth of memory in the second half.'
)

_NUM_LABELS = 3


def _export(folder):
  """A model of the preset `smoke` with random weights."""
  from train.config import presets
  from train.serving import export
  from train.systems.flow import models

  flow = models.build_model(presets.PRESETS['smoke'], _NUM_LABELS).flow
  rng = np.random.default_rng(0)
  for variable in flow.trainable_variables:
    variable.assign_add(0.05 * rng.standard_normal(variable.shape))
  return export.export_model(flow, folder, max_frames=8)


def _requests(path):
  """A request of two rows for each signature: list of (name, inputs)."""
  import tensorflow as tf

  from train.serving import warmup

  signatures = dict(tf.saved_model.load(path).signatures)
  del signatures['serving_default']
  return [
    (name, {k: np.repeat(v.numpy(), 2, axis=0) for k, v in inputs.items()})
    for name, inputs in warmup.example_requests(signatures).items()
  ]


def _load_client():
  path = _ROOT / 'examples' / 'client.py'
  spec = importlib.util.spec_from_file_location('client', path)
  module = importlib.util.module_from_spec(spec)
  spec.loader.exec_module(module)
  return module


def _free_port():
  with socket.socket() as one:
    one.bind(('127.0.0.1', 0))
    return one.getsockname()[1]


def _start(path, http, grpc, log):
  server = subprocess.Popen(
    [
      *(sys.executable, str(_ROOT / 'examples' / 'serving' / 'server.py')),
      *(f'--export={path}', f'--http_port={http}', f'--grpc_port={grpc}'),
    ],
    stdout=log,
    stderr=subprocess.STDOUT,
  )
  while server.poll() is None:
    try:
      url = f'http://127.0.0.1:{http}/v2/models/cglow/ready'
      urllib.request.urlopen(url, timeout=5).close()
      return server
    except OSError:
      time.sleep(0.5)
  raise RuntimeError(f'The server ended with {server.returncode}.')


class _Load:
  """The clients' requests and what became of them."""

  def __init__(self, requests, urls, server):
    self._client = _load_client()
    self._requests, self._urls, self._server = requests, urls, server
    self._first = {}
    self._lock = threading.Lock()
    self.counts, self.failures = collections.Counter(), []
    self.resident_mib = []

  def run(self, num_requests, num_clients):
    with futures.ThreadPoolExecutor(num_clients) as pool:
      turns = [range(k, num_requests, num_clients) for k in range(num_clients)]
      list(pool.map(self._ask_all, turns))

  def _ask_all(self, turn):
    models = [self._client.connect(url) for url in self._urls]
    for k in turn:
      way = k // len(self._requests) % len(models)
      name, inputs = self._requests[k % len(self._requests)]
      try:
        answer = models[way](name, inputs)
      except self._client.RequestError as e:
        answer = str(e)
      self._note(f'{name} {self._urls[way].partition(":")[0]}', name, answer)

  def _note(self, what, name, answer):
    with self._lock:
      self.counts[what] += 1
      if isinstance(answer, str):
        self.failures.append(f'{what}: {answer[:200]}')
      elif not _equal(self._first.setdefault(name, answer), answer):
        self.failures.append(f'{what}: another answer than the first')
      if sum(self.counts.values()) % max(_REQUESTS.value // 10, 1) == 0:
        size = own_process.status_bytes('VmRSS', self._server.pid)
        self.resident_mib.append(round(size / 2**20, 1))


def _equal(first, answer):
  return set(first) == set(answer) and all(
    value.dtype == answer[key].dtype
    and value.shape == answer[key].shape
    # Sums of floats may be added in another order by other threads.
    and np.allclose(value, answer[key], 1e-5, 1e-5)
    for key, value in first.items()
  )


def main(argv):
  del argv
  with tempfile.TemporaryDirectory() as folder:
    path = _EXPORT.value or _export(folder)
    requests = _requests(path)
    http, grpc = _free_port(), _free_port()
    with open(os.path.join(folder, 'log'), 'w', encoding='utf-8') as log:
      server = _start(path, http, grpc, log)
      try:
        urls = [
          f'v2+http://127.0.0.1:{http}/cglow',
          f'v2+grpc://127.0.0.1:{grpc}/cglow',
        ]
        load = _Load(requests, urls, server)
        load.run(_REQUESTS.value, _CLIENTS.value)
        alive = server.poll() is None
      finally:
        server.send_signal(signal.SIGTERM)
        server.wait(60)
  resident = load.resident_mib
  growth = resident[-1] - resident[len(resident) // 2]
  ok = alive and not load.failures and growth <= _MAX_GROWTH.value
  result = {
    'requests': sum(load.counts.values()),
    'clients': _CLIENTS.value,
    'counts': dict(sorted(load.counts.items())),
    'num_failures': len(load.failures),
    'failures': load.failures[:10],
    'resident_mib': resident,
    'growth_mib': growth,
    'ok': ok,
  }
  print(json.dumps(result, indent=2))
  return 0 if ok else 1


if __name__ == '__main__':
  app.run(main)
