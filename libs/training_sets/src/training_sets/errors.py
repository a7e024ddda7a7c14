"""Why there is no training set: each says what was found and what to do."""


class DatasetError(Exception):
    """The inputs do not allow a training set; the same command fails again until they change."""


class UnknownModel(DatasetError):
    """The project declares no such model, or the model no such algorithm."""


class EmptyLake(DatasetError):
    """A table that the model needs is not in the lake, or holds no event recorded by the cut."""


class UnreadableTable(DatasetError):
    """A table of the lake cannot be read: a file of it is gone or damaged, or the store is away."""


class MissingColumn(DatasetError):
    """A table of the lake lacks a column that every source's table has."""


class ChangedColumn(DatasetError):
    """A column of the lake has another type than the field that the project's source declares."""


class NoLabelledRows(DatasetError):
    """No example of the period has a label that was known by the cut."""


class NotBinary(DatasetError):
    """The label has values other than 0 and 1."""


class UnfitLabel(DatasetError):
    """The label has a value that a model of this task cannot be trained on."""


class UnknownDataset(DatasetError):
    """No training set of this name is kept."""


class NotReproduced(DatasetError):
    """Built again from the same table versions, a training set came out otherwise."""
