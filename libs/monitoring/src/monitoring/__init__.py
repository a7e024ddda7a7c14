"""Pure statistics of model quality: numpy arrays in, numbers out, no clock, no IO."""

from monitoring.binary import accuracy, brier, log_loss, log_losses, roc_auc
from monitoring.calibration import CalibrationBin, calibration_bins
from monitoring.paired import agreement, flips, mean_absolute_difference
from monitoring.sequential import ConfidenceSequence, Differences, confidence_sequence

__all__ = [
    "CalibrationBin",
    "ConfidenceSequence",
    "Differences",
    "accuracy",
    "agreement",
    "brier",
    "calibration_bins",
    "confidence_sequence",
    "flips",
    "log_loss",
    "log_losses",
    "mean_absolute_difference",
    "roc_auc",
]
