import dataclasses

from absl.testing import absltest
from absl.testing import parameterized
import numpy as np

from train.config import overrides
from train.config import presets
from train.report import comparison
from train.report import data_differences
from train.report import run_data
from train.storage import run_folder

_SMOKE = presets.PRESETS['smoke']


def _run(bits=None, path='/somewhere/run', assignments=()):
  scores = metrics = {}
  if bits is not None:
    scores = {'label': np.array([0, 1]), 'head': np.asarray(bits)}
    metrics = {'step': 6, 'head_bits_per_dim': float(np.mean(bits))}
  folder = run_folder.RunFolder(path)
  return run_data.RunData(
    folder,
    overrides.override(_SMOKE, assignments),
    metrics,
    [],
    (),
    scores,
    [],
  )


def _section(sections, anchor):
  (found,) = [s for s in sections if s.anchor == anchor]
  return found.blocks


class ComparisonTest(parameterized.TestCase):
  def test_names_are_unique(self):
    runs = [_run(path=f'/{k}/run') for k in 'abc']
    names = list(comparison.unique_names(runs))
    self.assertEqual(names, ['run', 'run (2)', 'run (3)'])

  def test_difference_of_the_same_clips(self):
    named = {'a': _run([2.0, 3.0]), 'b': _run([1.5, 2.5])}
    table, paired = _section(comparison.sections_of(named)[0], 'runs')
    self.assertEqual([row[3] for row in table.rows], ['2.500', '2.000'])
    ((name, head, tail),) = paired.rows
    self.assertEqual((name, tail), ('b', '–'))
    self.assertEqual(head, '-0.5000 [-0.5000, -0.5000]')

  def test_no_difference_of_other_clips(self):
    for other in (_run([1.5, 2.5], assignments=['data.num_frames=5']), _run()):
      named = {'a': _run([2.0, 3.0]), 'b': other}
      blocks = _section(comparison.sections_of(named)[0], 'runs')
      self.assertLen([b for b in blocks if b.kind == 'table'], 1)

  @parameterized.parameters(
    ('data.num_frames=5', r'b and a have different data \(data.num_frames\)'),
    ('data.data_dir=/y', r'different places \(data.data_dir\).*only if'),
    ('data=natvid', 'different data sets, natvid and shapes'),
    ('model.n_bits=4', r'different data \(model.n_bits\)'),
  )
  def test_different_data_are_named_in_words(self, change, words):
    named = {'a': _run([2.0, 3.0]), 'b': _run([1.5, 2.5], assignments=[change])}
    text, *_ = _section(comparison.sections_of(named)[0], 'runs')
    self.assertRegex(text.text, words)
    self.assertNotIn('/y', text.text)

  def test_different_clips_of_the_same_settings_are_named(self):
    named = {'a': _run([2.0, 3.0]), 'b': _run([1.5, 2.5])}
    self.assertEmpty(data_differences.sentences(named))
    scores = {**named['b'].scores, 'label': np.array([0, 1, 1])}
    named['b'] = dataclasses.replace(named['b'], scores=scores)
    (sentence,) = data_differences.sentences(named)
    self.assertRegex(sentence, r'different held-out clips \(3 and 2\)')

  def test_the_first_differing_run_does_not_hide_another(self):
    change = ['data.num_frames=5']
    named = {k: _run() for k in 'abc'}
    named['b'] = _run(assignments=change)
    (sentence,) = data_differences.sentences(named)
    self.assertStartsWith(sentence, 'b and a')

  def test_what_differs(self):
    named = {
      'a': _run(assignments=['data.data_dir=/x']),
      'b': _run(assignments=['seed=3', 'data.data_dir=/y']),
    }
    sections, _ = comparison.sections_of(named)
    (table,) = _section(sections, 'config')
    self.assertEqual(table.rows, [('seed', '0', '3')])
    (text,) = _section(
      comparison.sections_of({'a': _run(), 'b': _run()})[0], 'config'
    )
    self.assertIn('the same', text.text)

  def test_unfinished_runs_are_named(self):
    named = {'a': _run([2.0, 3.0]), 'b': _run()}
    (table,) = _section(comparison.sections_of(named)[0], 'missing')
    self.assertIn(('b', 'at step 0 of 6'), table.rows)
    self.assertNotIn('a', [row[0] for row in table.rows])


if __name__ == '__main__':
  absltest.main()
