"""Networks in 8 bits: batch norm folded away, trained with the rounding that serves, written for small devices.

Source: Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only Inference,
CVPR 2018, arXiv:1712.05877.
"""
