"""Statistics of model quality and the rules of watching it: values in, values out, no clock, no IO.

What a project declares is in `monitoring.monitors` and `monitoring.policies`; the reference is in
`monitoring.profiles`, the life of an alert in `monitoring.alerts`.
"""

from monitoring.binary import accuracy, brier, log_loss, log_losses, roc_auc
from monitoring.calibration import CalibrationBin, calibration_bins
from monitoring.declarations import DeclarationError, Location
from monitoring.distances import Ks, binned_roc_auc, kolmogorov_survival, ks, psi
from monitoring.multiclass import class_accuracy, class_log_loss
from monitoring.paired import agreement, flips, mean_absolute_difference
from monitoring.regression import mean_absolute_error, r_squared, root_mean_squared_error
from monitoring.sequential import ConfidenceSequence, Differences, confidence_sequence

__all__ = [
    "CalibrationBin",
    "ConfidenceSequence",
    "DeclarationError",
    "Differences",
    "Ks",
    "Location",
    "accuracy",
    "agreement",
    "binned_roc_auc",
    "brier",
    "calibration_bins",
    "class_accuracy",
    "class_log_loss",
    "confidence_sequence",
    "flips",
    "kolmogorov_survival",
    "ks",
    "log_loss",
    "log_losses",
    "mean_absolute_difference",
    "mean_absolute_error",
    "psi",
    "r_squared",
    "roc_auc",
    "root_mean_squared_error",
]
