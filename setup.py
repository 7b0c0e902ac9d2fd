"""Packaging. `make setup` installs the pinned sets of requirements/ instead."""

import pathlib

import setuptools

# The ranges span the two version sets that CI runs (requirements/*.txt). pip
# picks a consistent triple from them: each TFP and tf-keras names its own TF.
REQUIRED = [
  'absl-py',
  'av>=14',  # Hardware decoding, rotation.
  'jinja2>=3.1',  # Of the program only.
  'matplotlib>=3.8',  # Of the program only.
  'numpy',
  'pillow',
  'tensorboard',
  'tensorflow>=2.17,<2.22',
  'tensorflow-probability>=0.24,<0.26',
  # The last release. It has no wheels for Python 3.13 or Windows. It installs
  # beside any TensorFlow, but its native ops load only with TensorFlow 2.16 and
  # 2.17 (see the extra "tfio"); it is imported only where it is used.
  'tensorflow-io==0.37.1; python_version < "3.13" and sys_platform != "win32"',
  'tf-keras>=2.17,<2.22',
]

TFIO = [
  'tensorflow==2.17.1; python_version < "3.13"',
  'tensorflow-io==0.37.1; python_version < "3.13"',
  'tensorflow-probability==0.24.0; python_version < "3.13"',
  'tf-keras==2.17.0; python_version < "3.13"',
]

README = pathlib.Path(__file__).parent / 'README.md'

setuptools.setup(
  name='tfp-cglow',
  version='0.2.0',
  description='Conditional Glow bijectors for TensorFlow Probability, and '
  'label-conditioned video generation with them.',
  long_description=README.read_text('utf-8') if README.exists() else '',
  long_description_content_type='text/markdown',
  license='Apache-2.0',
  packages=setuptools.find_packages(include=['tfp_cglow*', 'train*']),
  package_data={'tfp_cglow': ['py.typed'], 'train.report': ['templates/*']},
  entry_points={'console_scripts': ['tfp-cglow = train.console:main']},
  python_requires='>=3.9',
  install_requires=REQUIRED,
  extras_require={
    'beam': ['apache-beam'],
    'dev': [
      'build',
      'import-linter',
      'ipykernel',
      'mkdocs<2',
      'mkdocstrings[python]',
      'nbclient',
      'pytest',
      'pytest-xdist',
      'ruff',
    ],
    'play': ['gradio>=6.31,<7'],  # Needs Python 3.10.
    # Of TensorFlow's own version.
    'serving': ['tensorflow-serving-api'],
    'tfds': ['tensorflow-datasets', 'importlib_resources'],
    'tfio': TFIO,
  },
)
