"""What Temporal must know of us before a run can start."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import TYPE_CHECKING

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    RegisterNamespaceRequest,
    UpdateNamespaceRequest,
)
from temporalio.service import RPCError, RPCStatusCode

if TYPE_CHECKING:
    from temporalio.client import Client

# Logs, outputs of steps and what a retry is given are read from histories.
RETENTION = timedelta(days=30)
KNOWN_WITHIN = timedelta(seconds=20)
AGAIN_AFTER = 0.1  # seconds
SEARCH_ATTRIBUTES = ("PerdureWorkspace", "PerdureSkill", "PerdureStatus", "PerdureTrigger")


async def ensure_namespace(client: Client) -> None:
    """At every start: the flags of a server do nothing for namespaces that exist already."""
    keep = Duration()
    keep.FromTimedelta(RETENTION)
    service, name = client.workflow_service, client.namespace
    try:
        # Not after asking for it: the server remembers for a while that it was not there.
        await service.register_namespace(
            RegisterNamespaceRequest(namespace=name, workflow_execution_retention_period=keep)
        )
    except RPCError as error:
        if error.status is not RPCStatusCode.ALREADY_EXISTS:
            raise
        known = await service.describe_namespace(DescribeNamespaceRequest(namespace=name))
        if known.config.workflow_execution_retention_ttl.ToTimedelta() < RETENTION:
            config = NamespaceConfig(workflow_execution_retention_ttl=keep)
            await service.update_namespace(UpdateNamespaceRequest(namespace=name, config=config))
    await _add_search_attributes(client)


async def _add_search_attributes(client: Client) -> None:
    """A namespace that was just made is not known everywhere in the server at once."""
    keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
    wanted = AddSearchAttributesRequest(
        namespace=client.namespace, search_attributes=dict.fromkeys(SEARCH_ATTRIBUTES, keyword)
    )
    async with asyncio.timeout(KNOWN_WITHIN.total_seconds()):
        while True:
            try:
                await client.operator_service.add_search_attributes(wanted)
            except RPCError as error:
                if error.status is not RPCStatusCode.NOT_FOUND:
                    raise
                await asyncio.sleep(AGAIN_AFTER)
            else:
                return
