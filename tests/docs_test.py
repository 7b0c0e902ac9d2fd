"""Documentation: links, Python blocks and the API's pages.

tests/docs_commands_test.py has the commands.
"""

import inspect
import json
import pathlib
import re

from absl.testing import absltest
from absl.testing import parameterized

import tfp_cglow

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = [
  *('README.md', 'CONTRIBUTING.md', 'CHANGELOG.md'),
  *sorted(
    p.relative_to(ROOT).as_posix() for p in (ROOT / 'docs').rglob('*.md')
  ),
]

# Pages whose blocks run here, one after another.
RUN = ['docs/bijectors.md']
# Why the other pages' blocks do not: by the page and the block's first line.
ELSEWHERE = {
  ('README.md', 'import tensorflow as tf'): 'tests/examples_test.py runs it',
  ('README.md', 'import numpy as np'): 'tests/examples_test.py runs it',
  ('docs/configuration.md', 'from train.config import configs'): (
    'tests/docs_commands_test.py runs it'
  ),
  ('docs/videos.md', 'from train.runs import loading'): (
    'tests/docs_commands_test.py runs it in a run of its own'
  ),
  ('docs/videos.md', 'from train.data.decoding import decode'): 'the same',
  ('docs/serving.md', 'import grpc'): 'needs a server and its package',
  ('docs/serving.md', 'import tensorflow as tf'): (
    'tests/docs_commands_test.py runs it in a run of its own'
  ),
}
# Languages of blocks that nothing here can run.
NO_PROGRAM = {
  'c++': 'no TensorFlow headers',
  'go': 'no Go',
  'java': 'no Java',
  'sh': 'tests/docs_commands_test.py',
  'yaml': 'no Kubernetes',
}
EXTERNAL = ('http://', 'https://', 'mailto:')


def _text(page):
  return (ROOT / page).read_text('utf-8')


def _blocks(page):
  """(language, text) of the fenced blocks."""
  return re.findall(r'^```(\S*)\n(.*?)^```', _text(page), re.M | re.S)


def _prose(page):
  return re.sub(r'^```.*?^```|`[^`\n]*`', '', _text(page), flags=re.M | re.S)


def _anchors(page):
  """The anchors of a page's headings, as GitHub and mkdocs make them."""
  headings = re.findall(r'^#+ (.*)', _text(page), re.M)
  plain = [re.sub(r'[^\w\s-]', '', h.lower()).strip() for h in headings]
  return [re.sub(r'[\s]+', '-', h) for h in plain]


class PagesTest(parameterized.TestCase):
  @parameterized.parameters(PAGES)
  def test_links(self, page):
    for target in re.findall(r'\]\(([^)\s]+)\)', _prose(page)):
      if target.startswith(EXTERNAL):
        continue
      path, _, anchor = target.partition('#')
      file = (ROOT / page).parent / path if path else ROOT / page
      with self.subTest(target):
        self.assertTrue(file.exists(), f'{page} links to {target}.')
        if anchor:
          name = file.resolve().relative_to(ROOT).as_posix()
          self.assertIn(anchor, _anchors(name))

  @parameterized.parameters(RUN)
  def test_python_blocks(self, page):
    names = {'__name__': page}
    for language, text in _blocks(page):
      if language == 'python':
        exec(compile(text, page, 'exec'), names)  # pylint: disable=exec-used

  def test_blocks_that_do_not_run_have_a_reason(self):
    languages, elsewhere = set(), set()
    for page in PAGES:
      for language, text in _blocks(page):
        if language != 'python':
          languages.add(language)
        elif page not in RUN:
          elsewhere.add((page, text.split('\n', 1)[0]))
    self.assertEqual(languages, set(NO_PROGRAM))
    self.assertEqual(elsewhere, set(ELSEWHERE))

  def test_every_page_is_on_the_site(self):
    nav = _text('mkdocs.yml')
    for page in PAGES:
      name = page.removeprefix('docs/')
      if page.startswith('docs/') and not name.startswith('ablation/'):
        self.assertIn(f' {name}\n', nav)

  def test_every_public_name_is_on_one_page_of_the_reference(self):
    listed = []
    for page in (ROOT / 'docs' / 'api').glob('*.md'):
      listed += re.findall(r'^::: tfp_cglow\.(\w+)$', page.read_text(), re.M)
    public = [
      name
      for name, member in vars(tfp_cglow).items()
      if not name.startswith('_') and not inspect.ismodule(member)
    ]
    self.assertCountEqual(listed, public)

  @parameterized.parameters('conditional_glow', 'video')
  def test_notebooks_are_small_and_without_outputs(self, name):
    text = _text(f'examples/{name}.ipynb')
    self.assertLess(len(text), 300_000)
    for cell in json.loads(text)['cells']:
      self.assertFalse(cell.get('outputs') or cell.get('execution_count'))

  def test_the_citation_has_the_version(self):
    pattern = r'^\s*version[:=] ?\'?([\d.]+)'
    versions = [
      re.search(pattern, _text(file), re.M)[1]
      for file in ('CITATION.cff', 'setup.py')
    ]
    self.assertEqual(*versions)


if __name__ == '__main__':
  absltest.main()
