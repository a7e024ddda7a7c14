"""Why a training cannot be done: each says what was found and what to do."""


class TrainingError(Exception):
    """The inputs do not allow a training; the same command fails again until they change.

    What is wrong with the data itself is a `training_sets.DatasetError`.
    """


class InvalidPeriod(TrainingError):
    """The period asked for is empty, or cannot be divided into training and holdout."""


class OneClassOnly(TrainingError):
    """All labels of a part are alike: there is nothing to tell apart."""


class NotAClassifier(TrainingError):
    """What the training function returned does not give probabilities of the task's classes."""


class NotARegressor(TrainingError):
    """What the training function returned does not give numbers."""


class NoMeasures(TrainingError):
    """Nothing here can say how good a model of this task is."""


class ParityBroken(TrainingError):
    """The packaged model does not score as the trained one does."""


class UnknownCommit(TrainingError):
    """Nothing tells which code this is."""


class UnknownAlgorithm(TrainingError):
    """The model declares no such algorithm."""
