"""Depthwise convolutions, one input and one output channel a group: kernels of conv_u8 by instruction set.

`vectors` says what all need of a site, and how those of x86 go over it; `avx2`, `neon`, `dsp` and `mve` are others.
"""
