"""The offline store's reading: what online features were, or would have been, at any moment of the past."""

from feature_store.offline.freshness import freshness_gap_us, freshness_gaps_us
from feature_store.offline.known import Applied, AsOf
from feature_store.offline.point_in_time import point_in_time
from feature_store.offline.served import Differences, Reached, Served, differences, recompute

__all__ = [
    "Applied",
    "AsOf",
    "Differences",
    "Reached",
    "Served",
    "differences",
    "freshness_gap_us",
    "freshness_gaps_us",
    "point_in_time",
    "recompute",
]
