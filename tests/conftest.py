"""pytest parses no absl flags; absl's test classes need them parsed."""

from absl import flags

flags.FLAGS.mark_as_parsed()
