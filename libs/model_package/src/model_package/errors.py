"""What can be wrong with a package or with what it is asked to score."""

from typing import Any


class PackageError(Exception):
    """A package cannot be read, trusted or used; the message says which and why."""


class DigestMismatch(PackageError):
    """A file's bytes are not the ones that were registered.

    Attributes:
        file: The file's name inside the package.
        expected: The SHA-256 it should have, hex.
        found: The SHA-256 it has, hex.
    """

    def __init__(self, *, uri: str, file: str, expected: str, found: str) -> None:
        super().__init__(
            f"{file} of package {uri} has SHA-256 {found}, expected {expected}: it is damaged or was changed "
            "after it was registered; put the original package back, or register this one as a new version"
        )
        self.file = file
        self.expected = expected
        self.found = found


class MissingFile(PackageError):
    """The package, or a file its manifest names, is not there."""

    def __init__(self, *, uri: str, file: str) -> None:
        super().__init__(f"package {uri} has no {file}: check PACKAGES_URI, or put the package again")
        self.file = file


class UnknownFormat(PackageError):
    """The manifest's format version is not one this code reads."""


class MalformedPackage(PackageError):
    """A file's bytes are intact but do not say what the format requires."""


class UnsafePath(PackageError):
    """A URI or a file name points outside the place it must stay in."""


class UnusableModel(PackageError):
    """The ONNX graph cannot be loaded, or has not the input and output the format requires."""


class GoldenMismatch(PackageError):
    """The model does not answer what was recorded when it was packaged.

    Attributes:
        row: Index of the first golden row that differs.
        expected: What was recorded.
        found: What was computed here.
        output: The name of the output that differs; empty for the score.
    """

    def __init__(
        self, *, uri: str, row: int, expected: Any, found: Any, tolerance: float, output: str = ""
    ) -> None:
        answers = f"answers {output} =" if output else "scores"
        super().__init__(
            f"golden row {row} of package {uri} {answers} {found!r} here, recorded {expected!r} with "
            f"tolerance {tolerance:g}: this runtime does not compute what was trained; do not serve it"
        )
        self.row = row
        self.expected = expected
        self.found = found
        self.output = output


class VectorMismatch(PackageError):
    """The vectors given have not the shape or type the model reads."""


class FailedRun(PackageError):
    """The graph raised an error instead of answering."""


class NonFiniteScore(PackageError):
    """The model answered NaN or infinity.

    Attributes:
        row: Index of the first such row in the batch.
        output: The name of the output that holds it; empty for the score.
    """

    def __init__(self, *, uri: str, row: int, found: float, output: str = "") -> None:
        if output:
            said = f"answered row {row} with {output} = {found}: every number of an answer must be finite"
        else:
            said = f"scored row {row} as {found}: a score must be a finite number"
        super().__init__(f"package {uri} {said}")
        self.row = row
        self.output = output
