"""Serves an export by the Open Inference Protocol (v2), over REST and gRPC.

  python examples/serving/server.py --export=runs/demo/export/1 \
    --http_port=8080 --grpc_port=8081

A runtime for KServe's Python server, see docs/serving.md. It needs TensorFlow
and the package kserve. The model NAME is the signature `serving_default`,
NAME-SIGNATURE each other one. Further flags are KServe's own (--help).
"""

import argparse
import asyncio
from concurrent import futures
import os
import sys

import fastapi
from fastapi import exceptions
import kserve
from kserve import errors
from kserve import model_server
from kserve.protocol import dataplane
import savedmodel_v2

__all__ = ['BodyLimit', 'CheckedDataPlane', 'Signature', 'build_models']


class Signature(kserve.Model):
  """One signature of a SavedModel, as KServe's server calls it."""

  def __init__(self, name, model, signature, threads):
    super().__init__(name)
    self._model, self._signature = model, signature
    self._threads = threads
    self.ready = True

  async def get_input_types(self):
    return _metadata(self._model.inputs(self._signature))

  async def get_output_types(self):
    return _metadata(self._model.outputs(self._signature))

  async def predict(self, payload, headers=None):
    if not isinstance(payload, kserve.InferRequest):
      raise errors.InvalidInput(
        f'Expected a request of the protocol v2: POST /v2/models/{self.name}'
        '/infer.'
      )
    # In a thread: the server goes on reading other requests.
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(self._threads, self._answer, payload)

  def _answer(self, request):
    wanted = [output.name for output in request.request_outputs or []]
    try:
      inputs = _arrays(request.inputs)
      answer = self._model(self._signature, inputs, wanted)
    except savedmodel_v2.RequestError as e:
      raise errors.InvalidInput(str(e)) from e
    specs = self._model.outputs(self._signature)
    return kserve.InferResponse(
      response_id=request.id or '',
      model_name=self.name,
      infer_outputs=[
        _output(name, specs[name][0], value) for name, value in answer.items()
      ],
      use_binary_outputs=request.use_binary_outputs,
      requested_outputs=request.request_outputs,
    )


class CheckedDataPlane(dataplane.DataPlane):
  """Refuses, with words, bodies that KServe's own decoder stumbles over."""

  def decode(self, body, headers, *args, **kwargs):
    try:
      request, attributes = super().decode(body, headers, *args, **kwargs)
      for tensor in getattr(request, 'inputs', []):
        _check_fields(tensor)
      return request, attributes
    except errors.InvalidInput:
      raise
    except (ValueError, KeyError, TypeError, AttributeError) as e:
      raise errors.InvalidInput(
        'Expected a request of the protocol v2 ("inputs" with "name", "shape", '
        f'"datatype" and "data"), but got {type(e).__name__}: {e}'
      ) from e


class BodyLimit:
  """ASGI middleware that answers bodies above a size by status 413."""

  def __init__(self, app, max_bytes):
    self._app, self._max_bytes = app, max_bytes

  async def __call__(self, scope, receive, send):
    if scope['type'] != 'http':
      await self._app(scope, receive, send)
      return
    parts, size, more = [], 0, True
    while more:
      message = await receive()
      if message['type'] != 'http.request':
        return  # The client has gone.
      size += len(message.get('body', b''))
      # What is too much is read, or clients would not see the answer.
      if size <= self._max_bytes:
        parts.append(message.get('body', b''))
      more = message.get('more_body', False)
    if size > self._max_bytes:
      await self._refuse(scope, receive, send)
    else:
      await self._app(scope, _once(b''.join(parts), receive), send)

  async def _refuse(self, scope, receive, send):
    response = fastapi.responses.JSONResponse(
      {'error': f'Expected a body of at most {self._max_bytes} bytes.'},
      status_code=413,
    )
    await response(scope, receive, send)


def _once(body, receive):
  """A `receive` that gives the body, and then what follows it."""
  messages = [{'type': 'http.request', 'body': body, 'more_body': False}]

  async def replay():
    return messages.pop() if messages else await receive()

  return replay


async def _unreadable(_, error):
  """The answer to JSON of another form: 400, without repeating the body."""
  first = error.errors()[0]
  place = '.'.join(str(part) for part in first['loc'])
  return fastapi.responses.JSONResponse(
    {
      'error': f'Expected a request of the protocol v2: {place}: {first["msg"]}'
    },
    status_code=400,
  )


def build_models(path, name):
  """A `Signature` for each signature of a SavedModel."""
  model = savedmodel_v2.Model(path)
  threads = futures.ThreadPoolExecutor(os.cpu_count())
  names = {'serving_default': name}
  return [
    Signature(names.get(s, f'{name}-{s}'), model, s, threads)
    for s in model.signatures
  ]


def _check_fields(tensor):
  """Checks the types that KServe does not check of a binary request."""
  ok = isinstance(tensor.name, str) and isinstance(tensor.shape, list)
  if not ok or not all(type(d) is int for d in tensor.shape):
    raise errors.InvalidInput(
      f'Expected a name and a shape of integers, but got {tensor.name!r} and '
      f'{tensor.shape!r}.'
    )
  if not isinstance(tensor.parameters or {}, dict):
    raise errors.InvalidInput(f'{tensor.name}: expected a dict of parameters.')


def _metadata(specs):
  return [
    {'name': name, 'datatype': datatype, 'shape': shape}
    for name, (datatype, shape) in specs.items()
  ]


def _output(name, datatype, value):
  output = kserve.InferOutput(name, list(value.shape), datatype)
  output.set_data_from_numpy(value)  # As bytes; KServe makes lists of them.
  return output


def _arrays(tensors):
  names = [tensor.name for tensor in tensors]
  if len(set(names)) < len(names):
    raise savedmodel_v2.RequestError(
      f'Expected each input once, but got {names}.'
    )
  return {tensor.name: _array(tensor) for tensor in tensors}


def _array(tensor):
  arguments = (tensor.name, tensor.datatype, tensor.shape)
  if tensor.data:
    content_type = (tensor.parameters or {}).get('content_type')
    if content_type == 'base64':
      return savedmodel_v2.base64_array(*arguments, tensor.data)
    return savedmodel_v2.list_array(*arguments, tensor.data)
  try:
    return tensor.as_numpy()  # Raw bytes, or none.
  except (ValueError, TypeError, errors.InvalidInput) as e:
    raise savedmodel_v2.RequestError(f'{tensor.name}: {e}') from e


def main():
  parser = argparse.ArgumentParser(
    description=__doc__.splitlines()[0], parents=[model_server.parser]
  )
  parser.add_argument('--export', required=True, help='Such as export/1.')
  parser.add_argument(
    '--max_body_mib', type=int, default=64, help='Of a request.'
  )
  parser.set_defaults(model_name='cglow')
  options = parser.parse_args()
  if options.max_body_mib < 1:
    return f'Expected --max_body_mib >= 1, but got {options.max_body_mib}.'
  try:
    models = build_models(options.export, options.model_name)
  except ValueError as e:
    return str(e)
  max_bytes = options.max_body_mib * 2**20
  # KServe reads these limits from its own flags alone.
  model_server.args.grpc_max_receive_message_length = max_bytes
  model_server.args.grpc_max_send_message_length = -1
  app = model_server.app
  app.add_middleware(BodyLimit, max_bytes=max_bytes)
  app.add_exception_handler(exceptions.RequestValidationError, _unreadable)
  server = kserve.ModelServer()
  server.dataplane = CheckedDataPlane(server.registered_models)
  server.start(models)
  return 0


if __name__ == '__main__':
  result = main()
  if isinstance(result, str):
    print(f'server: {result}', file=sys.stderr)
    result = 2
  sys.exit(result)
