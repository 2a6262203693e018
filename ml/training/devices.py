"""Training on every device of the machine, by Keras's own distribution API.

Keras 3 divides a batch among devices on its JAX backend, where two give what one gives. On TensorFlow a strategy clips
each device's gradient by itself, and learns something else: there one device trains.
"""

from collections.abc import Iterator
from contextlib import contextmanager

import keras
import numpy as np


@contextmanager
def all_devices(model: keras.Model) -> Iterator[int]:
    """Within, the model stands on every device, and what is made and fitted shares its batches among them; gives how
    many there are. A batch's length must then be a multiple of that. Afterwards the model is on one device again.
    """
    devices = keras.distribution.list_devices() if keras.backend.backend() == "jax" else ["the only one"]
    if len(devices) == 1:
        yield 1
        return
    distribution = keras.distribution.DataParallel(devices=devices)
    with distribution.scope():
        for variable in model.variables:
            layout = distribution.get_variable_layout(variable)
            variable.assign(keras.distribution.distribute_tensor(variable.value, layout))
        yield len(devices)
    for variable in model.variables:
        variable.assign(np.asarray(variable.value))
