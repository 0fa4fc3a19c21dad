"""What the OpenAPI of ``/v1`` says, holds: for any request, its answer is one that is described."""

from __future__ import annotations

import itertools

import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import GenerationMode
from schemathesis.checks import CheckFunction
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
    status_code_conformance,
)

from testing.kits.rest_kit import Rest

pytestmark = pytest.mark.servers
EXAMPLES = 15
CHECKS: list[CheckFunction] = [
    schemathesis.checks.not_a_server_error, status_code_conformance, content_type_conformance,
    response_schema_conformance,
]  # fmt: skip


@pytest.mark.usefixtures("here", "person")
def test_every_answer_is_one_that_the_openapi_describes(rest: Rest, admin: str) -> None:
    schema = schemathesis.openapi.from_url(f"{rest.client.base_url}/openapi.json").include(path_regex="^/v1/")
    operations = [found.ok() for found in schema.get_all_operations()]
    assert len(operations) > 20
    for operation, mode in itertools.product(operations, (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)):

        @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), database=None)
        @given(operation.as_strategy(generation_mode=mode))
        def conforms(case: schemathesis.Case) -> None:
            for name in ("userid", "session_id", "repetition_id", "job_id", "version"):
                if isinstance(case.path_parameters.get(name), int) and case.path_parameters[name] % 2:
                    case.path_parameters[name] = 1  # what is there, in every second example
            case.call_and_validate(headers={"Authorization": f"Bearer {admin}"}, checks=CHECKS)

        conforms()
