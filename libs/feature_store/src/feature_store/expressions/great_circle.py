"""Distances on the globe, of additions, multiplications, divisions and square roots alone.

IEEE 754 rounds these four alike everywhere, which sine and arcsine are not: libraries differ by an ulp. So
the one function below, given arrays or the values of a graph, computes the same bits in every runtime.

Sine, cosine and arcsine are the kernels of fdlibm (Sun Microsystems, 1993: k_sin.c, k_cos.c, e_asin.c),
within an ulp or two of the true values.
"""

from __future__ import annotations

import math
from functools import reduce
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

EARTH_RADIUS_KM: Final = 6371.0088
"""The mean radius R1 of the Earth (IUGG; Moritz, Geodetic Reference System 1980)."""

_RADIANS_A_DEGREE: Final = math.pi / 180.0
_SINE: Final = (
    -1.66666666666666324348e-01,
    8.33333333332248946124e-03,
    -1.98412698298579493134e-04,
    2.75573137070700676789e-06,
    -2.50507602534068634195e-08,
    1.58969099521155010221e-10,
)
_COSINE: Final = (
    4.16666666666666019037e-02,
    -1.38888888888741095749e-03,
    2.48015872894767294178e-05,
    -2.75573143513906633035e-07,
    2.08757232129817482790e-09,
    -1.13596475577881948265e-11,
)
_ARCSINE_ABOVE: Final = (
    1.66666666666666657415e-01,
    -3.25565818622400915405e-01,
    2.01212532134862925881e-01,
    -4.00555345006794114027e-02,
    7.91534994289814532176e-04,
    3.47933107596021167570e-05,
)
_ARCSINE_BELOW: Final = (
    1.0,
    -2.40339491173441421878e00,
    2.02094576023350569471e00,
    -6.88283971605453293030e-01,
    7.70381505559019352791e-02,
)


def distance_km(
    points: Sequence[Any], *, where: Callable[[Any, Any, Any], Any], sqrt: Callable[[Any], Any], null: Any
) -> Any:
    """Return the great-circle distance by the haversine formula (Sinnott, Sky & Telescope 68, 1984).

    Args:
        points: Latitude and longitude of one point, then of the other, in degrees.
        where: `where(condition, value, otherwise)` of the runtime.
        sqrt: Its square root.
        null: Its null; the result where a latitude is beyond 90 degrees or a longitude beyond 180.
    """
    lat_1, lon_1, lat_2, lon_2 = points

    def size(x: Any) -> Any:
        return where(x < 0.0, 0.0 - x, x)

    def sine_of(degrees: Any) -> Any:
        return _sine(degrees * _RADIANS_A_DEGREE, where)

    half_lat = sine_of(size(lat_2 - lat_1) * 0.5)
    turned = size(lon_2 - lon_1) * 0.5
    half_lon = sine_of(where(turned > 90.0, 180.0 - turned, turned))
    cosines = sine_of(90.0 - size(lat_1)) * sine_of(90.0 - size(lat_2))
    chord = half_lat * half_lat + cosines * (half_lon * half_lon)
    distance = _arcsine(sqrt(where(chord > 1.0, 1.0, chord)), where, sqrt) * (2.0 * EARTH_RADIUS_KM)
    for degrees, limit in ((lat_1, 90.0), (lon_1, 180.0), (lat_2, 90.0), (lon_2, 180.0)):
        distance = where(size(degrees) <= limit, distance, null)
    return distance


def _polynomial(coefficients: Sequence[float], x: Any) -> Any:
    """Evaluate by Horner's rule, the constant term first among the coefficients."""
    first, *others = reversed(coefficients)
    return reduce(lambda value, coefficient: coefficient + x * value, others, first)


def _sine(x: Any, where: Callable[[Any, Any, Any], Any]) -> Any:
    """Return the sine of 0 to pi / 2: by the sine's kernel up to pi / 4, beyond by the cosine's."""
    square = x * x
    sine = x + (x * square) * _polynomial(_SINE, square)
    rest = math.pi / 2.0 - x
    square = rest * rest
    cosine = (1.0 - 0.5 * square) + (square * square) * _polynomial(_COSINE, square)
    return where(x <= math.pi / 4.0, sine, cosine)


def _arcsine(x: Any, where: Callable[[Any, Any, Any], Any], sqrt: Callable[[Any], Any]) -> Any:
    """Return the arcsine of 0 to 1."""
    rest = (1.0 - x) * 0.5
    is_small = x < 0.5
    square = where(is_small, x * x, rest)
    correction = square * _polynomial(_ARCSINE_ABOVE, square) / _polynomial(_ARCSINE_BELOW, square)
    root = sqrt(rest)
    return where(is_small, x + x * correction, math.pi / 2.0 - 2.0 * (root + root * correction))
