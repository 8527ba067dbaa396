"""Deterministic tensor values that Python and C++ (fill.h) compute alike, so that reference files need not hold inputs.

With 64-bit unsigned arithmetic modulo 2^64:

    key(name)  = FNV-1a 64 of the name's bytes: h = 14695981039346656037; for each byte: h = (h ^ byte) * 1099511628211
    bits(key,i) = SplitMix64's output i of the seed key:  z = key + (i + 1) * 0x9E3779B97F4A7C15
                  z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9;  z = (z ^ (z >> 27)) * 0x94D049BB133111EB;  z = z ^ (z >> 31)
    v(i)       = 2 * ((bits >> 11) * 2^-53) - 1                uniform in [-1, 1), exact in double
    value(i)   = offset + scale * v(i), in double, then rounded to float32 (so that f32 and f64 runs have the same inputs)

The offset is 0, or the scale is a power of two: the product is then exact and fused multiply-add changes nothing.

    probe p of a tensor g = sum over i of s(i) * g(i), s(i) = -1 where the top bit of bits(key("probe.p"), i) is set, else +1

For a random sign vector s and an error d, E[(s.d)^2] = ||d||^2: the probes' mean squared error estimates the Frobenius
norm of the error without the tensor itself.
"""

import numpy as np

PROBES = 16


def key(name):
    h = 14695981039346656037
    for byte in name.encode():
        h = ((h ^ byte) * 1099511628211) & 0xFFFFFFFFFFFFFFFF
    return h


def bits(name, count):
    with np.errstate(over="ignore"):
        z = np.uint64(key(name)) + (np.arange(count, dtype=np.uint64) + np.uint64(1)) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        return z ^ (z >> np.uint64(31))


def values(name, shape, scale=1.0, offset=0.0):
    """float64 array of the shape (row-major order of i), every element a float32 number."""
    count = int(np.prod(shape))
    v = 2.0 * ((bits(name, count) >> np.uint64(11)).astype(np.float64) * 2.0**-53) - 1.0
    return (offset + scale * v).astype(np.float32).astype(np.float64).reshape(shape)


def parameter(name, shape):
    """The value of a model's parameter or buffer, by its name and shape (torchvision's layout: [K,C,R,S], [out,in]).

    Biases are about +1.5 in even channels and -1.5 in odd ones against a scale of about .5, so that ReLU's inputs keep away
    from zero: an input whose sign rounding can turn would change the gradient by far more than rounding itself.
    """
    if name.endswith("running_mean"):
        return values(name, shape, 0.125)
    if name.endswith("running_var"):
        return values(name, shape, 0.5, 1.0)
    if name.endswith("bias"):
        return values(name, shape, 0.125, np.where(np.arange(shape[0]) % 2 == 0, 1.5, -1.5))
    if len(shape) == 1:
        return values(name, shape, 0.0625, 0.5)
    fan_in = float(np.prod(shape[1:]))
    return values(name, shape, np.sqrt(6.0 / fan_in))


def probes(g):
    """[PROBES] signed sums of g in row-major order."""
    flat = np.ascontiguousarray(g, dtype=np.float64).ravel()
    signs = [1.0 - 2.0 * (bits(f"probe.{p}", flat.size) >> np.uint64(63)).astype(np.float64) for p in range(PROBES)]
    return np.array([float(np.dot(s, flat)) for s in signs])
