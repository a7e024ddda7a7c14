"""The REST API."""

from control_plane.adapters.http.app import create_app
from control_plane.adapters.http.core import Core
from control_plane.adapters.http.server import listen, serve

__all__ = ["Core", "create_app", "listen", "serve"]
