"""The HTTP API against real servers: what it answers, whom it lets in, what bad input gets."""

from __future__ import annotations

import json

import httpx
import numpy as np
import pytest

from semg.signals.windows import WindowStream
from semg.store import models, profiles
from semg.wire.windows import CONTENT_TYPE, WindowStatus
from testing.kits.live_helpers import activate, samples_of, wait_for, with_classes
from testing.kits.window_bodies import WindowRequest, decode_answer, encode_request

pytestmark = pytest.mark.servers


def post(api: httpx.Client, user_id: int, data: object) -> httpx.Response:
    return api.post("/predict", json={"userid": user_id, "data": data})


def test_predictions_equal_those_of_the_stored_classifier(api, make_wearer, classifier, recording) -> None:
    user_id = make_wearer("A", classifier)
    samples = samples_of(recording)
    body = post(api, user_id, samples.tolist()).json()
    windows, ends = WindowStream(classifier.conditioning, classifier.window, range(4)).push(samples, True)
    expected = classifier.predict_proba(windows)
    assert body["model_version"] == 1
    assert body["classes"] == list(classifier.classes)
    assert [p["end_index"] for p in body["predictions"]] == ends.tolist()
    assert [p["label"] for p in body["predictions"]] == [classifier.classes[k] for k in expected.argmax(1)]
    np.testing.assert_allclose([p["confidence"] for p in body["predictions"]], expected.max(1), rtol=1e-6)


def test_channels_are_chosen_by_name_not_by_place(api, make_wearer, classifier, recording) -> None:
    straight = make_wearer("A", classifier)
    shuffled = make_wearer("B", classifier, channels=("spare", "a3", "a1", "a0", "a2"))
    samples = samples_of(recording)
    other = np.column_stack([np.full(len(samples), 7.0), samples[:, [3, 1, 0, 2]]])
    assert (
        post(api, straight, samples.tolist()).json()["predictions"]
        == post(api, shuffled, other.tolist()).json()["predictions"]
    )


def test_label_follows_the_profile_when_two_have_swapped_labels(api, make_wearer, classifier, recording) -> None:
    swap = {"fist": "flexion", "flexion": "fist"}
    one, two = make_wearer("A", classifier), make_wearer("B", with_classes(classifier, swap))
    data = samples_of(recording, 1500).tolist()
    first = [p["label"] for p in post(api, one, data).json()["predictions"]]
    second = [p["label"] for p in post(api, two, data).json()["predictions"]]
    assert {"fist", "flexion"} <= set(first)
    assert second == [swap.get(label, label) for label in first]
    windows, _ = WindowStream(classifier.conditioning, classifier.window, range(4)).push(samples_of(recording), True)
    request = [WindowRequest(user, 1, windows[5]) for user in (one, two, one)]
    response = api.post("/predict/windows", content=encode_request(request), headers={"Content-Type": CONTENT_TYPE})
    answers = decode_answer(response.content)
    assert [a.user_id for a in answers] == [one, two, one]
    assert answers[0].probabilities.tolist() == answers[2].probabilities.tolist()


def test_one_broken_model_spoils_no_other_profile(api, pool, make_wearer, classifier, recording) -> None:
    good, broken, none = make_wearer("A", classifier), make_wearer("B", classifier), make_wearer("C")
    with pool.transaction() as tx, tx.cursor() as cursor:
        cursor.execute("UPDATE models SET artifact = %s WHERE user_id = %s", (b"damaged", broken))
    windows, _ = WindowStream(classifier.conditioning, classifier.window, range(4)).push(samples_of(recording), True)
    request = [WindowRequest(user, 1, windows[0]) for user in (broken, good, none, good)]
    response = api.post("/predict/windows", content=encode_request(request))
    assert [a.status for a in decode_answer(response.content)] == [
        WindowStatus.FAILED, WindowStatus.OK, WindowStatus.NO_MODEL, WindowStatus.OK,
    ]  # fmt: skip
    request = [WindowRequest(good, 1, windows[0][:2]), WindowRequest(good, 1, windows[0][:, 1:])]
    response = api.post("/predict/windows", content=encode_request(request))
    assert [a.status for a in decode_answer(response.content)] == [WindowStatus.STALE, WindowStatus.STALE]


def test_newly_activated_version_answers_and_rollback_too(api, pool, make_wearer, classifier, recording) -> None:
    user_id = make_wearer("A", classifier)
    data = samples_of(recording).tolist()
    assert post(api, user_id, data).json()["model_version"] == 1
    with pool.transaction() as tx:
        activate(tx, user_id, classifier)
    wait_for(lambda: post(api, user_id, data).json()["model_version"] == 2)
    with pool.transaction() as tx:
        models.activate_model(tx, user_id, 1)
    wait_for(lambda: post(api, user_id, data).json()["model_version"] == 1)


def test_deleted_profile_gets_404(api, pool, make_wearer, classifier, recording) -> None:
    user_id = make_wearer("A", classifier)
    data = samples_of(recording).tolist()
    assert post(api, user_id, data).status_code == 200
    with pool.transaction() as tx:
        profiles.delete_profile(tx, user_id)
    assert post(api, user_id, data).status_code == 404


def test_profile_without_a_model_gets_404_that_says_so(api, make_wearer) -> None:
    response = post(api, make_wearer("A"), [[1, 2, 3, 4]] * 100)
    assert response.status_code == 404
    assert "no active model" in response.json()["detail"]


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ([[1, 2, 3]] * 200, "data"),
        ([[1, 2, 3, 4]] * 5, "data"),
        ([[1, 2, 3, 4], [1, 2]], "data.1"),
        ([], "data"),
        ([[1, 2, 3, "x"]], "data.0.3"),
        ([[1, 2, 3, 1e300]], "data.0.3"),
        ([[0] * 17], "data.0"),
    ],
)
def test_bad_data_gets_422_with_the_field(api, make_wearer, classifier, data, field) -> None:
    response = post(api, make_wearer("A", classifier), data)
    assert (response.status_code, response.json()["field"]) == (422, field)
    assert field in response.json()["detail"]


def test_nan_in_the_json_gets_422(api, make_wearer, classifier) -> None:
    body = json.dumps({"userid": make_wearer("A", classifier), "data": [[1, 2, 3, float("nan")]]})
    response = api.post("/predict", content=body, headers={"Content-Type": "application/json"})
    assert (response.status_code, response.json()["field"]) == (422, "data.0.3")


def test_wrong_or_missing_token_gets_401(api, make_wearer, classifier) -> None:
    make_wearer("A", classifier)
    for headers in ({"Authorization": ""}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic Zm9vOmJhcg=="}):
        for path in ("/predict", "/predict/windows"):
            assert api.post(path, json={}, headers=headers).status_code == 401
        assert api.get("/metrics", headers=headers).status_code == 401
    assert api.get("/healthz", headers={"Authorization": ""}).status_code == 200


def test_too_large_body_gets_413(api, servers) -> None:
    size = servers.settings.api_max_body_bytes + 1
    assert api.post("/predict/windows", content=b"\0" * size).status_code == 413


def test_noise_as_windows_gets_422(api) -> None:
    for noise in (b"", b"SEW1", b"SEW1\xff\xff\xff\xff", b"\0" * 500):
        assert api.post("/predict/windows", content=noise).status_code == 422


def test_metrics_count_windows(api, make_wearer, classifier, recording) -> None:
    n = len(post(api, make_wearer("A", classifier), samples_of(recording).tolist()).json()["predictions"])
    assert f"semg_windows_total {float(n)}" in api.get("/metrics").text


def test_openapi_describes_the_calls_with_examples(api) -> None:
    schema = api.get("/openapi.json").json()
    assert {"/predict", "/predict/windows", "/healthz", "/readyz", "/metrics"} <= set(schema["paths"])
    asked = schema["paths"]["/predict"]["post"]["requestBody"]["content"]["application/json"]["schema"]
    assert asked["examples"][0]["userid"] == 21
    assert asked["properties"].keys() == {"userid", "data"}


def test_answers_carry_security_headers_and_are_counted_by_path(api) -> None:
    for path, status in (("/healthz", 200), ("/nowhere", 404)):
        response = api.get(path)
        assert (response.status_code, response.headers["X-Content-Type-Options"]) == (status, "nosniff")
    counted = api.get("/metrics").text
    assert 'semg_requests_total{path="/healthz",status="200"}' in counted
    assert 'semg_requests_total{path="other",status="404"}' in counted
