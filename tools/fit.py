#!/usr/bin/python3
"""fit.py [NAME..] - the polynomials behind kiln's functions: coefficients of least largest relative error.

usage: fit.py [NAME..]     all of them without names; needs mpmath and numpy

Each row of FITS says what a polynomial stands for: g(t) = sum of c[i] t^i on an interval, and what its error weighs in the
function. The fit is Lawson's: least squares whose weights follow the error until it is level. The coefficients are printed from
the highest power down, as Horner's scheme takes them, with the error that is left (2^-24 is half an ulp).
"""
import sys

import mpmath as mp
import numpy as np

mp.mp.dps = 40
POINTS, ROUNDS = 2000, 3000


def lawson(g, weight, low, high, degree):
    t = (low + high) / 2 - (high - low) / 2 * np.cos(np.pi * (np.arange(POINTS) + 0.5) / POINTS)
    want = np.array([float(g(mp.mpf(x))) for x in t])
    scale = np.array([float(weight(mp.mpf(x))) for x in t])
    basis = np.polynomial.chebyshev.chebvander((2 * t - low - high) / (high - low), degree)
    share = np.full(POINTS, 1 / POINTS)
    for _ in range(ROUNDS):
        root = np.sqrt(share) * scale
        c = np.linalg.lstsq(basis * root[:, None], want * root, rcond=None)[0]
        error = np.abs(basis @ c - want) * scale
        share = share * error
        share /= share.sum()
    line = np.polynomial.chebyshev.Chebyshev(c, [low, high]).convert(kind=np.polynomial.Polynomial)
    single = np.float32(line.coef)
    left = np.abs(np.polynomial.polynomial.polyval(t, np.float64(single)) - want) * scale
    return single[::-1], left.max()


def mills(z):
    """The normal distribution above z, times exp(z^2 / 2)."""
    return mp.erfc(z / mp.sqrt(2)) / 2 * mp.exp(z * z / 2)


def of_square(f, lead=1):
    """P in f(x) = lead x + x^3 P(x^2), and its weight in f's relative error."""
    def g(t):
        x = mp.sqrt(t)
        return (f(x) / x - lead) / t
    return g, lambda t: t * mp.sqrt(t) / f(mp.sqrt(t))


TAIL = mp.mpf("0.3")


def tail(t):
    """P in mills(z) = t P(t) for t = 1 / (1 + TAIL z)."""
    return mills((1 / t - 1) / TAIL) / t


FITS = {
    # name: [(g, weight), low, high, degree]
    "erf near": [(lambda t: mp.erf(mp.sqrt(t)) / mp.sqrt(t) - 1 if t else 2 / mp.sqrt(mp.pi) - 1,
                  lambda t: mp.sqrt(t) / mp.erf(mp.sqrt(t))), 1e-9, 1.0, 6],
    "tail": [(tail, lambda t: 1 / tail(t)), float(1 / (1 + TAIL * 14.5)), 1.0, 9],
    "asin": [of_square(mp.asin), 1e-7, 0.25, 4],
    "atan": [of_square(mp.atan), 1e-7, 1.0, 7],
    "tan": [of_square(mp.tan), 1e-7, float(mp.pi / 4) ** 2, 5],
    "sinh": [of_square(mp.sinh), 1e-7, 1.0, 3],
}


def main():
    for name in sys.argv[1:] or FITS:
        (g, weight), low, high, degree = FITS[name]
        coefficients, error = lawson(g, weight, low, high, degree)
        print(f"{name}: error 2^{np.log2(error):.1f}")
        for c in coefficients:
            print(f"    {c:.9e}")


if __name__ == "__main__":
    main()
