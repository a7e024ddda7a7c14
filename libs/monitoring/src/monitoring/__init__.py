"""Statistics of model quality and the rules of watching it: values in, values out, no clock, no IO.

What a project declares is in `monitoring.monitors` and `monitoring.policies`; the reference is in
`monitoring.profiles`, the life of an alert in `monitoring.alerts`.
"""

from monitoring.binary import accuracy, brier, log_loss, log_losses, roc_auc
from monitoring.calibration import CalibrationBin, calibration_bins
from monitoring.declarations import DeclarationError, Location
from monitoring.distances import Ks, binned_roc_auc, kolmogorov_survival, ks, psi
from monitoring.embeddings import cosine_distances, similarity_correlation
from monitoring.estimates import Estimate
from monitoring.multiclass import class_accuracy, class_hits, class_log_loss, class_log_losses
from monitoring.paired import agreement, flips, mean_absolute_difference
from monitoring.ranks import rank_correlation
from monitoring.regression import bias, mean_absolute_error, r_squared, root_mean_squared_error
from monitoring.sequential import ConfidenceSequence, Differences, confidence_sequence

__all__ = [
    "CalibrationBin",
    "ConfidenceSequence",
    "DeclarationError",
    "Differences",
    "Estimate",
    "Ks",
    "Location",
    "accuracy",
    "agreement",
    "bias",
    "binned_roc_auc",
    "brier",
    "calibration_bins",
    "class_accuracy",
    "class_hits",
    "class_log_loss",
    "class_log_losses",
    "confidence_sequence",
    "cosine_distances",
    "flips",
    "kolmogorov_survival",
    "ks",
    "log_loss",
    "log_losses",
    "mean_absolute_difference",
    "mean_absolute_error",
    "psi",
    "r_squared",
    "rank_correlation",
    "roc_auc",
    "root_mean_squared_error",
    "similarity_correlation",
]
