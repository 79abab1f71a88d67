"""Kernels and special functions. They import torch only, and no reader of a formula needs them."""
