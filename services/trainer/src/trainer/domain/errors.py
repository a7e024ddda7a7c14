"""Why a training cannot be done: each says what was found and what to do."""


class TrainingError(Exception):
    """The inputs do not allow a training; the same command fails again until they change."""


class UnknownModel(TrainingError):
    """The project declares no such model, or the model no such algorithm."""


class InvalidPeriod(TrainingError):
    """The period asked for is empty, or cannot be divided into training and holdout."""


class EmptyLake(TrainingError):
    """A table that the model needs is not in the lake, or holds no event recorded by the cut."""


class UnreadableTable(TrainingError):
    """A table of the lake cannot be read: a file of it is gone or damaged, or the store is away."""


class MissingColumn(TrainingError):
    """A table of the lake lacks a field that the project's source declares."""


class NoLabelledRows(TrainingError):
    """No example of the period has a label that was known by the cut."""


class OneClassOnly(TrainingError):
    """All labels of a part are alike: there is nothing to tell apart."""


class NotBinary(TrainingError):
    """The label has values other than 0 and 1."""


class NotAClassifier(TrainingError):
    """What the training function returned does not give probabilities of two classes."""


class ParityBroken(TrainingError):
    """The packaged model does not score as the trained one does."""


class UnknownCommit(TrainingError):
    """Nothing tells which code this is."""
