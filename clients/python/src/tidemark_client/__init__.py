"""Asks Tidemark for scores and features, and reports outcomes: `Client` and `AsyncClient`."""

from tidemark_client.async_client import AsyncClient
from tidemark_client.batches import Answer
from tidemark_client.calling import CallRecord
from tidemark_client.client import Client
from tidemark_client.connecting import Connection, Tls
from tidemark_client.errors import (
    AskLater,
    DeadlineExceeded,
    InvalidRequest,
    NoScore,
    NotReady,
    Overloaded,
    TidemarkError,
    UnexpectedStatus,
    UnknownModel,
    UnknownName,
    UnreadableReply,
)
from tidemark_client.requests import Outcome, ScoringRequest
from tidemark_client.retrying import Retries
from tidemark_client.scores import Feature, Features, FeatureStatus, Output, Score, ViewAge
from tidemark_client.values import Scalar

__all__ = [
    "Answer",
    "AskLater",
    "AsyncClient",
    "CallRecord",
    "Client",
    "Connection",
    "DeadlineExceeded",
    "Feature",
    "FeatureStatus",
    "Features",
    "InvalidRequest",
    "NoScore",
    "NotReady",
    "Outcome",
    "Output",
    "Overloaded",
    "Retries",
    "Scalar",
    "Score",
    "ScoringRequest",
    "TidemarkError",
    "Tls",
    "UnexpectedStatus",
    "UnknownModel",
    "UnknownName",
    "UnreadableReply",
    "ViewAge",
]
