"""The reference profile: what a training set looked like, for later data to be compared with.

It is built here, kept as JSON in a model's package, and parsed here, so that the two cannot part.
"""

from monitoring.profiles.building import TrainingSet, build_profile, distribution, stable
from monitoring.profiles.distributions import Distribution, FeatureProfile, Variation
from monitoring.profiles.parsing import FORMAT_VERSION, MalformedProfile, ReferenceProfile

__all__ = [
    "FORMAT_VERSION",
    "Distribution",
    "FeatureProfile",
    "MalformedProfile",
    "ReferenceProfile",
    "TrainingSet",
    "Variation",
    "build_profile",
    "distribution",
    "stable",
]
