"""Order and time arithmetic: plans from the catalogue alone, never pixels."""

from avssl.sample.order import Order as Order
from avssl.sample.order import evaluation_item as evaluation_item
from avssl.sample.order import evaluation_rng as evaluation_rng
from avssl.sample.order import sample_rng as sample_rng
