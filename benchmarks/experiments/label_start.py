"""Do 200 label images train from N(0, 1), as in the paper, or N(0, 0.01^2)?

  python benchmarks/experiments/label_start.py \\
      --workdir=runs/label_start --seeds=3

In the paper's Fig. 3 the gradients of its 200 label images stay near zero, and
the images stay at their random start. Here Fashion-MNIST (16x16, 5 bits) gets
200 labels: each class is split at random into 20 of equal size. A head with a
learned image for each label is trained by likelihood alone (no label loss),
from images of standard deviation 1.0 and 0.01. The two starts of a seed share
data, order and all other weights. Every 20 steps two things are logged: the
norm of the gradient of bits/dim with respect to the images, before clipping,
mean over those steps; and how far the images have moved (root mean square, also
divided by the start's standard deviation).

Then label information is measured on held-out test images, each with a random
label of its class. A label of a held-out image tells only its class, so all
three numbers are lower bounds of the same mutual information, at most log2(10)
= 3.32 bits:

  class_information_bits  from p(class | x), the sum of p(y | x) over the
                          class's 20 labels. The one to read: all that can be
                          learned.
  mean_score_information_bits
                          about the class, from its labels' mean log p(x | y).
                          Differences between labels of a class cancel, which
                          favours label images that are mostly noise.
  label_information_bits  from p(y | x) of the 200 labels, as the calibrated
                          number in a run's metrics.json. At one temperature it
                          is the first number minus the divergence of
                          p(y | class, x) from uniform: it punishes differences
                          between labels that only training images have, and
                          says less about what was learned.

Each has its own temperature, fitted on every second image and measured on the
others. Labels are equally frequent, and the posterior assumes so. `gain_bits`,
the result of the start 0.01 minus that of 1.0, is paired by seed.

Each run has its own process. Writes `<workdir>/curve_<std>_seed_<n>.jsonl` and
the gradients' norms as `<workdir>/gradient_norm.png`; prints JSON.
"""

import gzip
import json
import os
import pathlib
import sys

from absl import app
from absl import flags

os.environ.setdefault('TF_CPP_MIN_LOG_LEVEL', '2')
sys.path.insert(
  0,
  os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))),
)

from benchmarks import own_process  # noqa: E402
from benchmarks import training_runs  # noqa: E402

_WORKDIR = flags.DEFINE_string(
  'workdir', None, 'Folder of the curves.', required=True
)
_DATA_DIR = flags.DEFINE_string(
  'data_dir', None, "Fashion-MNIST's four files; None: where Debian has them."
)
_SEEDS = flags.DEFINE_integer('seeds', 3, 'Runs of each start.')
_STEPS = flags.DEFINE_integer('steps', 2600, 'Training steps.')
_LOG_EVERY = flags.DEFINE_integer(
  'log_every', 20, 'Steps between two log lines.'
)
_PYRAMID = flags.DEFINE_integer(
  'pyramid_channels',
  16,
  "Of what the couplings see of an image; 1, as many as it has, is the paper's "
  'way, whose ReLU can die with its one channel.',
)
_TEST_IMAGES = flags.DEFINE_integer(
  'test_images', 2000, 'Number of test images, of 10,000.'
)
_TEST_BATCH = flags.DEFINE_integer('test_batch', 250, 'Images of a pass.')
_RUN = flags.DEFINE_string('run', None, 'Internal: a start and a seed.')

_STARTS = (1.0, 0.01)
_CLASSES, _LABELS_PER_CLASS = 10, 20
_SIZE = 16


def _config(start, seed):
  import tfp_cglow
  from train.config import configs
  from train.config import data_sets
  from train.config import models

  head = tfp_cglow.GlowSpec(
    num_glow_blocks=2,
    steps=tfp_cglow.AffineSteps(4, hidden_channels=48, gradients='stored'),
    labels=tfp_cglow.LabelImages(init_std=start),
    pyramid=tfp_cglow.Pyramid(_PYRAMID.value),
  )
  return configs.Config(
    preset='label_start',
    seed=seed,
    data=data_sets.FashionMnist(num_frames=1, frame_size=_SIZE, channels=1),
    model=models.Flow(n_bits=5, head=head, label_weight=0.0),
    optimiser=configs.Optimiser(
      learning_rate=1e-3, final_learning_rate=1e-3, warmup_steps=100
    ),
    run=configs.Run(
      steps=_STEPS.value, batch_size=8, log_every=_LOG_EVERY.value
    ),
  )


def _images(regions):
  """Frames uint8 `[N, 1, 16, 16, 1]` of all images of an idx file."""
  import numpy as np

  from train.data.decoding import pixels

  with gzip.open(regions[0].path) as f:
    data = f.read()
  shape = [len(regions), 28, 28]
  images = np.frombuffer(data, np.uint8, offset=16).reshape(shape)
  # The project's decoder would add a margin, as the field does at 32x32.
  small = pixels.to_frames([images], pixels.Layout('grey'), _SIZE, channels=1)
  return small.numpy()[:, np.newaxis]


def _labels(regions, rng):
  """A label `[N]` of each image's class, all equally frequent."""
  import numpy as np

  classes = np.array([region.label for region in regions])
  labels = np.zeros(len(classes), np.int32)
  for c in range(_CLASSES):
    rows = rng.permutation(np.flatnonzero(classes == c))
    parts = np.arange(len(rows)) % _LABELS_PER_CLASS
    labels[rows] = c * _LABELS_PER_CLASS + parts
  return labels


def _datasets(config):
  """Endless training batches, and the test images once."""
  import numpy as np
  import tensorflow as tf

  from train.data.sets import images

  source = images.fashion_mnist_source(_DATA_DIR.value)
  rng = np.random.default_rng(config.seed)
  train, test = (
    (_images(part), _labels(part, rng)) for part in (source.train, source.valid)
  )
  dataset = tf.data.Dataset.from_tensor_slices(train)
  dataset = dataset.shuffle(len(train[1]), config.seed).repeat()
  dataset = dataset.batch(config.run.batch_size, drop_remainder=True)
  test = [values[: _TEST_IMAGES.value] for values in test]
  return dataset, tf.data.Dataset.from_tensor_slices(tuple(test)).batch(
    _TEST_BATCH.value
  )


def _curve(model, config, dataset):
  """Trains; returns a `dict` of numbers every `--log_every` steps."""
  import tf_keras as tfk

  from train.loop import parameter_watch

  start_std = config.model.head.labels.init_std
  groups = model.parameter_groups()
  watch = parameter_watch.ParameterWatch(
    groups, parameter_watch.sample(groups['labels'])
  )
  rows = []

  def log(batch, logs):
    if (batch + 1) % config.run.log_every:
      return
    moved = watch.measure(config.run.log_every)
    row = {'step': batch + 1}
    for key in ('labels_gradient_norm', 'head_bits_per_dim', 'skipped_steps'):
      row[key] = float(logs[key])
    for key in ('labels_movement', 'labels_relative_update'):
      row[key] = moved[key]
    row['movement_to_start'] = moved['labels_movement'] / start_std
    rows.append(row)
    model.reset_metrics()

  watch.begin()
  model.fit(
    dataset,
    steps_per_epoch=config.run.steps,
    verbose=0,
    callbacks=[tfk.callbacks.LambdaCallback(on_train_batch_end=log)],
  )
  return rows


def _log_sum(x):
  import numpy as np

  return np.logaddexp.reduce(x, axis=-1)


def _class_information(scores, classes):
  """Calibrated bits about the class, and accuracy, by sums over its labels.

  Args:
    scores: Float `[N, 200]`, log p(x|y), nats, up to a constant of each row.
    classes: int `[N]`.
  """
  import numpy as np

  def log_posterior(temperature, rows):
    by_label = scores[rows] / temperature
    by_class = _log_sum(by_label.reshape(-1, _CLASSES, _LABELS_PER_CLASS))
    return by_class - _log_sum(by_label)[:, np.newaxis]

  def mean_log(temperature, rows):
    values = log_posterior(temperature, rows)
    return values[np.arange(len(values)), classes[rows]].mean()

  fitted, tested = slice(0, None, 2), slice(1, None, 2)
  temperatures = np.exp(np.linspace(-3.0, 10.0, 400))  # As in breakdown.
  best = max(temperatures, key=lambda t: mean_log(t, fitted))
  correct = log_posterior(best, slice(None)).argmax(axis=-1) == classes
  bits = (np.log(_CLASSES) + mean_log(best, tested)) / np.log(2)
  return float(bits), float(correct.mean())


def _information(model, dataset):
  """Held-out bits/dim and information about classes and labels."""
  import numpy as np

  from train.evaluation import breakdown

  values = breakdown.clip_scores(model.flow, dataset)
  scores, label = values['label_log_prob'].astype(np.float64), values['label']
  classes = label // _LABELS_PER_CLASS
  class_bits, class_accuracy = _class_information(scores, classes)
  means = scores.reshape(-1, _CLASSES, _LABELS_PER_CLASS).mean(axis=-1)

  def calibrated(scores, label):
    uniform = np.full(scores.shape[-1], -np.log(scores.shape[-1]))
    return breakdown.label_information(scores, label, uniform)

  key = 'calibrated_label_information_bits'
  of_labels = calibrated(scores, label)
  return {
    'test_bits_per_dim': float(values['head'].mean()),
    'class_information_bits': class_bits,
    'class_accuracy': class_accuracy,
    'mean_score_information_bits': calibrated(means, classes)[key],
    'label_information_bits': of_labels[key],
    'label_raw_information_bits': of_labels['label_information_bits'],
    'label_temperature': of_labels['label_temperature'],
  }


def _curve_file(start, seed):
  return pathlib.Path(_WORKDIR.value) / f'curve_{start}_seed_{seed}.jsonl'


def _measure(start, seed):
  """One run: trained, its curve written, then measured."""
  from train.storage import files
  from train.systems.flow import models

  config = _config(start, seed)
  train, test = _datasets(config)
  model = models.build_model(config, _CLASSES * _LABELS_PER_CLASS)
  rows = _curve(model, config, train)
  files.write_atomically(
    _curve_file(start, seed), ''.join(json.dumps(r) + '\n' for r in rows)
  )
  last = rows[-max(1, len(rows) // 4) :]
  return {
    **_information(model, test),
    'gradient_norm_of_last_quarter': sum(
      r['labels_gradient_norm'] for r in last
    )
    / len(last),
    'labels_movement': rows[-1]['labels_movement'],
    'movement_to_start': rows[-1]['movement_to_start'],
    'skipped_steps': sum(r['skipped_steps'] for r in rows),
  }


def _draw():
  """Plots the gradient norms by step, a line for each run; returns the path."""
  from matplotlib import figure as figure_lib

  # Without pyplot, Agg draws a PNG.
  drawing = figure_lib.Figure(figsize=(7, 4), layout='constrained')
  panel = drawing.subplots()
  for start, colour in zip(_STARTS, ('tab:orange', 'tab:blue')):
    for seed in range(_SEEDS.value):
      lines = _curve_file(start, seed).read_text().splitlines()
      rows = [json.loads(line) for line in lines]
      panel.plot(
        [row['step'] for row in rows],
        [row['labels_gradient_norm'] for row in rows],
        color=colour,
        linewidth=1,
        label=None if seed else f'start of standard deviation {start}',
      )
  panel.set_yscale('log')
  panel.set_xlabel('step')
  panel.set_ylabel("norm of the label images' gradient")
  panel.grid(alpha=0.3)
  panel.legend()
  path = pathlib.Path(_WORKDIR.value) / 'gradient_norm.png'
  drawing.savefig(path, dpi=150)
  return str(path)


def _compare():
  pathlib.Path(_WORKDIR.value).mkdir(parents=True, exist_ok=True)
  runs = {start: [] for start in _STARTS}
  for seed in range(_SEEDS.value):
    for start in _STARTS:
      runs[start].append(own_process.run_again(f'--run={start} {seed}'))
  starts = {
    str(start): {
      k: training_runs.over_seeds([r[k] for r in rows]) for k in rows[0]
    }
    for start, rows in runs.items()
  }
  large, small = (runs[start] for start in _STARTS)
  gains = {
    name: training_runs.over_seeds(
      [
        b[f'{name}_information_bits'] - a[f'{name}_information_bits']
        for a, b in zip(large, small)
      ]
    )
    for name in ('class', 'mean_score', 'label')
  }
  return {
    'steps': _STEPS.value,
    'test_images': _TEST_IMAGES.value,
    'starts': starts,
    'gain_bits': gains,
    'figure': _draw(),
  }


def main(argv):
  del argv
  if _RUN.value:
    start, seed = _RUN.value.split()
    print('\n' + json.dumps(_measure(float(start), int(seed))))
    return
  print(json.dumps(_compare(), indent=2))


if __name__ == '__main__':
  app.run(main)
