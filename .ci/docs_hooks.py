"""Hooks of mkdocs.yml: the files above docs/ become pages, too."""

import pathlib
import re

from mkdocs.structure import files as mkdocs_files

ROOT = pathlib.Path(__file__).resolve().parents[1]
PAGES = {
  'README.md': 'project.md',
  'CONTRIBUTING.md': 'contributing.md',
  'CHANGELOG.md': 'changelog.md',
}

_CODE = re.compile(r'(^```.*?^```|^    [^\n]*|`[^`\n]+`)', re.M | re.S)
_LINK = re.compile(r'\[([^\]\n]+)\]\(([^)#:\s]+)(#[^)\s]*)?\)')


def on_files(files, config):
  for source, page in PAGES.items():
    text = (ROOT / source).read_text('utf-8')
    files.append(mkdocs_files.File.generated(config, page, content=text))
  return files


def on_page_markdown(markdown, page, config, files):
  """Links between docs/ and the files above it, as the site has them."""
  del config, files
  uri = page.file.src_uri
  is_above = uri in PAGES.values()
  folder = ROOT if is_above else (ROOT / 'docs' / uri).parent

  def rewrite(match):
    text, target, anchor = match.group(1, 2, 3)
    path = (folder / target).resolve()
    if not path.exists():
      return match.group(0)  # mkdocs reports the missing file.
    name = path.relative_to(ROOT).as_posix()
    if name in PAGES:
      target = '../' * uri.count('/') + PAGES[name]
    elif is_above and name.startswith('docs'):
      target = name[len('docs/') :] or 'README.md'
    elif not name.startswith('docs/'):
      return text  # The site does not have this file.
    return f'[{text}]({target}{anchor or ""})'

  parts = _CODE.split(markdown)
  parts[::2] = [_LINK.sub(rewrite, part) for part in parts[::2]]
  return ''.join(parts)
