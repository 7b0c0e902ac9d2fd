"""Writes the ablation's numbers as Markdown tables."""

from train import shown_text
from train.ablation import ablation_rows
from train.storage import places

__all__ = ['facts', 'markdown', 'notes', 'table']


def markdown(values):
  """The report as Markdown, from the `dict` of `ablation_report.summary`."""
  lines = ['# Ablation', '']
  (_, command), *others = facts(values)
  lines += [f'- Command: {shown_text.code(command)}']
  lines += [f'- {name}: {shown_text.markdown(text)}' for name, text in others]
  lines.append('')
  for part in ablation_rows.PARTS:
    columns, *rows = table(values, part, shown_text.markdown) or [None]
    if columns:
      rule = ['---'] + ['---:'] * (len(columns) - 1)
      lines += [f'## {part.capitalize()}', '']
      lines += [f'| {" | ".join(row)} |' for row in (columns, rule, *rows)]
      lines.append('')
  lines += [line for note in notes(values) for line in (note, '')]
  return '\n'.join(lines + _failures(values)).rstrip('\n') + '\n'


def facts(values):
  """How the ablation was run: list of (name, text); first the command."""
  data = {k: ', '.join(map(str, v)) or '-' for k, v in values['data'].items()}
  clips = [
    ', '.join(map(str, values[f'num_{name}_clips'])) or '-'
    for name in ('train', 'valid')
  ]
  size = data.get('data.frame_size', '-')
  of = lambda key: data.get(key, '-')
  return [
    ('Command', places.hide_in_command(values['command'])),
    (
      'Data set',
      f'{of("data")}, {of("data.num_frames")} frames of {size}x{size} pixels, '
      f'{of("model.n_bits")} bits, dequantisation '
      f'{of("model.dequantisation")}; {clips[0]} training and {clips[1]} '
      'held-out clips',
    ),
    ('Seeds', f'{values["num_seeds"]}'),
    ('Processes', _jobs_text(values)),
    ('CPU', f'{values["cpu"]}, {values["num_cpus"]} cores'),
    ('Date', values['date']),
    (
      'Total time',
      f'{values["cell_seconds"]:.0f} s of all cells; this session '
      f'{values["seconds"]:.0f} s',
    ),
  ]


def _jobs_text(values):
  texts = []
  for jobs in values['jobs_of_cells']:
    threads = jobs['num_threads']
    each = '' if threads is None else f', {threads} thread(s) each'
    texts.append(f'{jobs["jobs"]} at a time{each}')
  return '; '.join(texts) or '-'


def table(values, part, escape=str):
  """The part's table: column titles, then rows of `str`; [] without rows.

  Args:
    values: `dict` of ablation.json.
    part: 'head' or 'tail'.
    escape: Function of the texts in it.
  """
  rows = [row for row in values['rows'] if row['part'] == part]
  if not rows:
    return []
  has_labels = any(r['label_accuracy']['mean'] is not None for r in rows)
  columns = ['row', 'bits/dim', 'difference', 'to']
  columns += ['label accuracy', 'label bits'] if has_labels else []
  columns += ['seeds', 'steps', 'training s', 's in all']
  lines = [
    [f'_{escape(title)}_', _spread(bits), *[''] * (len(columns) - 2)]
    for title, bits in _lines_without_training(part, values)
  ]
  lines += [
    _table_row(row, has_labels, values['num_seeds'], escape) for row in rows
  ]
  return [columns, *lines]


def _lines_without_training(part, values):
  lines = [(x['title'], x['bits_per_dim']) for x in values['untrained'][part]]
  for key, value in values['histograms'][part].items():
    title = f'no flow: {ablation_rows.HISTOGRAMS[key]}'
    lines.append((title, {'mean': value, 'spread': None}))
  return lines


def _table_row(row, has_labels, num_seeds, escape):
  cells = [
    escape(row['title']),
    _spread(row['bits_per_dim']),
    *_difference_cells(row, escape),
  ]
  if has_labels:
    cells += [
      _spread(row['label_accuracy'], 3),
      _spread(row['calibrated_label_information_bits'], 3),
    ]
  failed = f', {len(row["failed"])} FAILED' if row['failed'] else ''
  return cells + [
    f'{row["num_seeds"]} of {num_seeds}{failed}',
    ', '.join(map(str, row['steps'])) or '-',
    _seconds(row['train_seconds']),
    _seconds(row['seconds']),
  ]


def _difference_cells(row, escape):
  """The columns 'difference' and 'to'."""
  if row['difference'] is None:
    return ['-', '-']
  if 'why' in row['difference']:
    return [escape(row['difference']['why']), row['reference']]
  text = '{mean:+.4f} [{low:+.4f}, {high:+.4f}]'.format(**row['difference'])
  return [text, row['reference']]


def _spread(stats, digits=4):
  if stats['mean'] is None:
    return '-'
  text = f'{stats["mean"]:.{digits}f}'
  if stats['spread'] is not None:
    text += f' ± {stats["spread"]:.{digits}f}'
  return text


def _seconds(stats):
  return '-' if stats['mean'] is None else f'{stats["mean"]:.0f}'


def notes(values):
  """Notes on reading the table: list of `str`."""
  lines = [
    'Bits/dim are measured on held-out clips: mean ± sample standard deviation '
    'over seeds. A difference compares the same seeds on the same clips, with '
    'a 95% bootstrap interval over seeds and clips; if seeds differ more than '
    'clips, the interval of three seeds is too narrow (it covers the true '
    'difference 70% of the time). Label bits are calibrated. Seconds are the '
    'mean over cells.',
  ]
  if any(jobs['jobs'] > 1 for jobs in values['jobs_of_cells']):
    lines.append('Seconds were measured while cells shared the machine.')
  if len({tuple(row['steps']) for row in values['rows'] if row['steps']}) > 1:
    lines.append('Rows were trained for different numbers of steps.')
  return lines


def _failures(values):
  failed = [item for row in values['rows'] for item in row['failed'].items()]
  if not failed:
    return []
  hide = places.Places().hide
  return [
    '## Failed',
    '',
    *(
      f'- {name}: {shown_text.markdown(hide(error))}' for name, error in failed
    ),
  ]
