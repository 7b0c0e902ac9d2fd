"""`Browser`: headless Chromium, driven over its DevTools pipe."""

import json
import os
import shutil
import subprocess
import time

__all__ = ['PATH', 'Browser']

PATH = shutil.which('chromium') or shutil.which('chromium-browser')

_SECONDS = 120
# The middle of an element, if a click there would hit it.
_PLACE = """(element => {
  if (!element) return null;
  element.scrollIntoView({block: 'center'});
  const box = element.getBoundingClientRect();
  const x = box.x + box.width / 2, y = box.y + box.height / 2;
  const hit = document.elementFromPoint(x, y);
  return element.contains(hit) ? JSON.stringify([x, y]) : null;
})(%s)"""


class Browser:
  """A Chromium that listens on file descriptors: no port, no dependency."""

  def __init__(self, folder):
    to_browser, self._commands = os.pipe()
    self._answers, from_browser = os.pipe()

    def place():  # The browser reads descriptor 3 and writes 4.
      os.dup2(to_browser, 103)
      os.dup2(from_browser, 104)
      os.dup2(103, 3)
      os.dup2(104, 4)

    self._process = subprocess.Popen(
      [
        PATH,
        '--headless=new',
        '--no-sandbox',
        '--disable-gpu',
        '--disable-dev-shm-usage',
        '--no-first-run',
        '--remote-debugging-pipe',
        f'--user-data-dir={folder}',
        'about:blank',
      ],
      stdin=subprocess.DEVNULL,
      stdout=subprocess.DEVNULL,
      stderr=subprocess.DEVNULL,
      preexec_fn=place,
      close_fds=False,
    )
    os.close(to_browser)
    os.close(from_browser)
    self._buffer, self._number, self.events = b'', 0, []
    target = self.call('Target.createTarget', url='about:blank')['targetId']
    self._session = None
    self._session = self.call(
      'Target.attachToTarget', targetId=target, flatten=True
    )['sessionId']
    for domain in ('Page', 'Runtime', 'Log', 'Network'):
      self.call(f'{domain}.enable')

  def close(self):
    self._process.kill()
    self._process.wait()
    os.close(self._commands)
    os.close(self._answers)

  def call(self, method, **params):
    self._number += 1
    request = {'id': self._number, 'method': method, 'params': params}
    if getattr(self, '_session', None):
      request['sessionId'] = self._session
    os.write(self._commands, json.dumps(request).encode() + b'\0')
    while True:
      answer = self._read()
      if answer.get('id') == self._number:
        if 'error' in answer:
          raise RuntimeError(f'{method}: {answer["error"]}')
        return answer['result']
      self.events.append(answer)

  def _read(self):
    while b'\0' not in self._buffer:
      data = os.read(self._answers, 1 << 20)
      if not data:
        raise RuntimeError('Chromium has gone.')
      self._buffer += data
    message, _, self._buffer = self._buffer.partition(b'\0')
    return json.loads(message)

  def open(self, url, size, dark=False):
    """Shows a page; waits until everything in it is loaded."""
    self.events.clear()
    width, height = size
    self.call(
      'Emulation.setDeviceMetricsOverride',
      width=width,
      height=height,
      deviceScaleFactor=1,
      mobile=width < 600,
    )
    scheme = 'dark' if dark else 'light'
    self.call(
      'Emulation.setEmulatedMedia',
      features=[{'name': 'prefers-color-scheme', 'value': scheme}],
    )
    self.call('Page.navigate', url=url)
    self.wait("document.readyState == 'complete'")

  def wait(self, expression, seconds=_SECONDS):
    """Waits until a JavaScript expression is true."""
    end = time.monotonic() + seconds
    while not self.evaluate(f'!!({expression})'):
      if time.monotonic() > end:
        text = self.evaluate('document.body.innerText')
        raise TimeoutError(
          f'Not true after {seconds} s: {expression}\nThe page:\n{text}'
        )
      time.sleep(0.05)

  def evaluate(self, expression):
    result = self.call('Runtime.evaluate', expression=expression)['result']
    return result.get('value')

  def settle(self, element):
    """Waits until the element of a JavaScript expression can be clicked.

    It is there, does not move, and is not covered.

    Args:
      element: `str`.

    Returns:
      The place of its middle, `[x, y]`.
    """
    end, before = time.monotonic() + _SECONDS, None
    while (place := self.evaluate(_PLACE % element)) != before or not place:
      if time.monotonic() > end:
        raise TimeoutError(f'Cannot be clicked: {element}, at {place}.')
      before = place
      time.sleep(0.3)
    return json.loads(place)

  def click(self, element):
    """Clicks on an element as a user does, once it has settled."""
    x, y = self.settle(element)
    for kind in ('mousePressed', 'mouseReleased'):
      self.call(
        'Input.dispatchMouseEvent',
        type=kind,
        x=x,
        y=y,
        button='left',
        clickCount=1,
      )

  def give(self, selector, path):
    """Gives a file to the <input> that a CSS selector finds."""
    root = self.call('DOM.getDocument')['root']['nodeId']
    node = self.call('DOM.querySelector', nodeId=root, selector=selector)
    self.call('DOM.setFileInputFiles', nodeId=node['nodeId'], files=[str(path)])

  def complaints(self):
    """Console messages, exceptions and log entries."""
    kinds = (
      'Runtime.consoleAPICalled',
      'Runtime.exceptionThrown',
      'Log.entryAdded',
    )
    return [e for e in self.events if e.get('method') in kinds]

  def requests(self):
    """URLs that the page asked for, but those that hold their own data."""
    urls = [
      e['params']['request']['url']
      for e in self.events
      if e.get('method') == 'Network.requestWillBeSent'
    ]
    return [url for url in urls if not url.startswith('data:')]

  def screenshot(self):
    """The whole page as a PNG, base64."""
    return self.call(
      'Page.captureScreenshot', captureBeyondViewport=True, format='png'
    )['data']
