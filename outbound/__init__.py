"""The only way out to addresses that somebody else names."""

from outbound.addresses import Endpoint
from outbound.connections import Outbound
from outbound.urls import parse_url

__all__ = ["Endpoint", "Outbound", "parse_url"]
