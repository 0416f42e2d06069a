"""What Temporal must know of us before a run can start."""

from __future__ import annotations

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
    await client.operator_service.add_search_attributes(
        AddSearchAttributesRequest(
            namespace=name,
            search_attributes=dict.fromkeys(
                SEARCH_ATTRIBUTES, IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
            ),
        )
    )
