"""The only way out to addresses that somebody else names."""

from outbound.addresses import Endpoint
from outbound.connections import Outbound
from outbound.hosts import may_go_to
from outbound.posting import Posted, Poster
from outbound.retries import retry_after
from outbound.urls import parse_url

__all__ = ["Endpoint", "Outbound", "Posted", "Poster", "may_go_to", "parse_url", "retry_after"]
