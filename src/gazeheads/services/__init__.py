"""Paid or local services behind an API: chat models and image models, called with patience."""

from gazeheads.services.calling import (
    Endpoint,
    Patience,
    RefusedError,
    ServiceError,
    UnusableError,
    Usage,
)
from gazeheads.services.chat import Chat, ChatRequest

__all__ = [
    "Chat",
    "ChatRequest",
    "Endpoint",
    "Patience",
    "RefusedError",
    "ServiceError",
    "UnusableError",
    "Usage",
]
