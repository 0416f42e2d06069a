from __future__ import annotations

import pytest
from temporalio.exceptions import ApplicationError, CancelledError, ChildWorkflowError

from core.execution import ChildRun
from workflows.children import child_failed

CALL = ChildRun(path="sub", skill="report", inputs={}, timeout=None)


@pytest.mark.parametrize(
    ("cause", "said"),
    [
        (CancelledError(), "run report-1 of `report` was cancelled"),
        (ApplicationError("no answer", type="gone"), "run report-1 of `report` failed: no answer"),
    ],
)
def test_parent_says_how_its_child_ended(cause: BaseException, said: str) -> None:
    error = ChildWorkflowError(
        "child",
        namespace="n",
        workflow_id="report-1",
        run_id="r",
        workflow_type="report",
        initiated_event_id=1,
        started_event_id=2,
        retry_state=None,
    )
    error.__cause__ = cause
    assert child_failed(error, CALL, "report-1").failure.message == said
