"""One signature of an exported SavedModel, for Triton's `python_backend`.

`write_repository.py` copies this file into a model's folder, beside
savedmodel_v2.py and a config.pbtxt that names the export and the signature.
"""

import json

import savedmodel_v2
import triton_python_backend_utils as pb_utils

__all__ = ['TritonPythonModel']


class TritonPythonModel:
  """The class that Triton looks for."""

  def initialize(self, args):
    """Loads the SavedModel that the parameter `export` names."""
    parameters = json.loads(args['model_config'])['parameters']
    self._signature = parameters['signature']['string_value']
    self._model = savedmodel_v2.Model(parameters['export']['string_value'])

  def execute(self, requests):
    """Answers each request on its own: a bad one refuses no other."""
    return [self._answer(request) for request in requests]

  def _answer(self, request):
    try:
      answer = self._model(
        self._signature,
        {tensor.name(): tensor.as_numpy() for tensor in request.inputs()},
        request.requested_output_names(),
      )
    except savedmodel_v2.RequestError as e:
      return pb_utils.InferenceResponse(
        error=pb_utils.TritonError(str(e), pb_utils.TritonError.INVALID_ARG)
      )
    return pb_utils.InferenceResponse(
      output_tensors=[pb_utils.Tensor(k, v) for k, v in answer.items()]
    )
