"""Tests of what serving needs: one line each. They need no Gradio."""

import contextlib
import io
import socket
import sys
from unittest import mock

from absl import app
from absl.testing import absltest
from absl.testing import flagsaver
from absl.testing import parameterized

from train import main
from train.play import server

_HOST = '127.0.0.1'


class ServerTest(parameterized.TestCase):
  def _check(self, words, port=0, host=_HOST):
    with self.assertRaisesRegex(server.ServerError, words) as raised:
      server.check(host, port)
    self.assertEqual(raised.exception.exit_code, 2)
    self.assertLen(str(raised.exception).splitlines(), 1)

  def _with_gradio(self):
    """As if it was installed."""
    return mock.patch.dict(sys.modules, {'gradio': mock.Mock()})

  def test_without_the_extra(self):
    with mock.patch.dict(sys.modules, {'gradio': None}):
      self._check(r"needs Gradio: pip install 'tfp-cglow\[play\]'")

  def test_a_busy_port(self):
    with self._with_gradio(), socket.create_server((_HOST, 0)) as busy:
      port = busy.getsockname()[1]
      self._check(f'port {port} of {_HOST}: .*EADDRINUSE.*--port', port)

  def test_a_host_that_is_not_of_this_machine(self):
    with self._with_gradio():
      self._check('cannot use port 7860 of 192.0.2.1', 7860, '192.0.2.1')
      self._check('cannot use port 7860 of no host', 7860, 'no host')

  def test_a_free_port(self):
    with self._with_gradio():
      server.check(_HOST, 0)

  @parameterized.parameters(
    ({'gradio': None}, 'needs Gradio'),
    ({'gradio': mock.Mock()}, 'holds no run'),
  )
  def test_the_command_line(self, modules, words):
    stderr = io.StringIO()
    flags = {'mode': 'play', 'workdir': self.create_tempdir().full_path}
    with (
      mock.patch.dict(sys.modules, modules),
      mock.patch.object(socket.socket, 'bind'),
      flagsaver.flagsaver(**flags),
      contextlib.redirect_stderr(stderr),
    ):
      code = main.main(['main'])
    self.assertEqual(code, 2)
    self.assertRegex(stderr.getvalue(), f'^error: .*{words}.*\n$')

  def test_flags_of_the_page_are_for_the_page(self):
    for flags in ({'port': 7000}, {'host': '0.0.0.0'}):
      with (
        flagsaver.flagsaver(**flags),
        self.assertRaisesRegex(app.UsageError, 'is for --mode=play'),
      ):
        main.main(['main'])


if __name__ == '__main__':
  absltest.main()
