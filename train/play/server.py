"""Serves the page on one port of this machine, with nothing from elsewhere."""

from __future__ import annotations

import contextlib
import importlib
import os
import pathlib
import socket
import tempfile

from train import errors
from train import failures
from train.play import page

__all__ = ['ServerError', 'check', 'serving']

# Set before Gradio is imported: no telemetry, and no history on the page.
_ENVIRONMENT = {
  'GRADIO_ANALYTICS_ENABLED': 'False',
  'GRADIO_RUN_HISTORY': 'False',
  'HF_HUB_DISABLE_TELEMETRY': '1',
}
_MAX_UPLOAD = '500mb'


class ServerError(errors.UserError):
  """The page cannot be served."""


def check(host, port):
  """Checks what serving needs, before a model is loaded.

  Args:
    host: `str`.
    port: `int`.

  Raises:
    ServerError: if Gradio is not installed, or the port cannot be used.
  """
  os.environ.update(_ENVIRONMENT)
  try:
    importlib.import_module('gradio')
  except ImportError as e:
    raise ServerError(
      "--mode=play needs Gradio: pip install 'tfp-cglow[play]', or `make play` "
      f'({e}).'
    ) from e
  try:
    family, kind, protocol, _, address = socket.getaddrinfo(
      host, port, type=socket.SOCK_STREAM
    )[0]
    with socket.socket(family, kind, protocol) as probe:
      probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
      probe.bind(address)
  except OSError as e:
    raise ServerError(
      f'--mode=play cannot use port {port} of {host}: '
      f'{failures.describe_os_error(e)}. Choose another with --port.'
    ) from e


@contextlib.contextmanager
def serving(player, name, host, port):
  """Serves the page while within.

  Files of uploads and drawn videos are in a folder that is removed at the end.

  Args:
    player: `Player`.
    name: `str`, the run's name.
    host: `str`, the address to listen on.
    port: `int`.

  Yields:
    The page's URL, `str`.

  Raises:
    ServerError: if the port cannot be used.
  """
  with tempfile.TemporaryDirectory(prefix='play-') as folder:
    os.environ['GRADIO_TEMP_DIR'] = folder
    drawn = pathlib.Path(folder, 'drawn')
    drawn.mkdir()
    blocks = page.build(player, name, drawn)
    try:
      _launch(blocks, host, port)
      yield blocks.local_url
    finally:
      blocks.close(verbose=False)


def _launch(blocks, host, port):
  # Gradio asks itself whether it answers, which must not go to a proxy.
  besides = os.environ.get('NO_PROXY', os.environ.get('no_proxy', ''))
  os.environ['NO_PROXY'] = ','.join(filter(None, [besides, host, 'localhost']))
  try:
    blocks.launch(
      server_name=host,
      server_port=port,
      theme=page.theme(),
      css=page.CSS,
      max_file_size=_MAX_UPLOAD,
      footer_links=[],
      share=False,
      ssr_mode=False,
      quiet=True,
      prevent_thread_lock=True,
    )
  except (OSError, ValueError) as e:  # The port; that it does not answer.
    raise ServerError(f'--mode=play cannot serve {host}:{port}: {e}') from e
