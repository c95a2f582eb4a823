from typing import Any

import grpc
import numpy as np
import pytest

from latentspace import (
    Client,
    InvalidArgumentError,
    NotFoundError,
    PartialError,
    RetryPolicy,
    UnavailableError,
    vector,
)
from latentspace.v1 import classification_service_pb2_grpc
from tests.client.fake.classification import SCALE, FakeClassification
from tests.client.fake.server import serving
from tests.client.fake.world import World, vector_of

LABELS = ["cat", "dog", "horse"]


def probabilities(text: str, scale: float = SCALE) -> dict[str, float]:
    rows = np.array([vector_of(label.encode()) for label in LABELS])
    logits = scale * rows @ vector_of(text.encode())
    shares = np.exp(logits) / np.exp(logits).sum()
    return dict(zip(LABELS, shares.tolist(), strict=True))


def test_labels_of_items(client: Client) -> None:
    texts = [f"t{i}" for i in range(300)]
    found = client.classify("sentences", texts=texts, labels=LABELS)
    assert len(found) == 300
    for text, labels in zip(texts, found, strict=True):
        expected = probabilities(text)
        assert [one.label for one in labels] == sorted(LABELS, key=lambda name: -expected[name])
        for one in labels:
            assert one.probability == pytest.approx(expected[one.label], rel=1e-4)


def test_options(client: Client, world: World) -> None:
    found = client.classify(
        "sentences",
        vectors=[vector_of(b"a"), vector_of(b"b")],
        labels=LABELS,
        top_k=1,
        logit_scale=1.0,
        activation="sigmoid",
        templates=["a {}", "the {}"],
    )
    assert [len(labels) for labels in found] == [1, 1]
    sent = world.requests[-1]
    assert (sent.activation, sent.logit_scale) == (2, 1.0)
    assert list(sent.spec.templates) == ["a {}", "the {}"]
    client.classify("sentences", texts=["a"], labels=LABELS, templates="imagenet")
    assert world.requests[-1].spec.template_set == "imagenet"
    assert not world.requests[-1].HasField("logit_scale")
    rejected = client.classify("sentences", texts=["a"], labels=LABELS, min_probability=1.1)
    assert rejected == [[]]


def test_label_sets(client: Client) -> None:
    made = client.create_label_set("pets", model="sentences", labels=LABELS, templates="plain")
    assert (made.labels, made.template_set) == (tuple(LABELS), "plain")
    assert made.create_time is not None
    assert client.label_set("pets") == made
    assert client.label_sets() == [made]
    by_set = client.classify("sentences", texts=["a"], label_set="pets")
    assert by_set == client.classify("sentences", texts=["a"], labels=LABELS)
    client.delete_label_set("pets")
    with pytest.raises(NotFoundError):
        client.classify("sentences", texts=["a"], label_set="pets")


class GoingDown(FakeClassification):
    def __init__(self, world: World) -> None:
        super().__init__(world)
        self.waits: list[float] = []

    async def CreateLabelSet(self, request: Any, context: Any) -> Any:  # noqa: N802
        self.waits.append(context.time_remaining())
        await context.abort(grpc.StatusCode.UNAVAILABLE, "perhaps it was made")


def test_a_label_set_is_waited_for_and_made_once(make: type[Client], world: World) -> None:
    server = GoingDown(world)
    add = classification_service_pb2_grpc.add_ClassificationServiceServicer_to_server
    quick = RetryPolicy(max_attempts=4, first_pause_s=0.01)
    with serving(lambda s: add(server, s)) as address, make(address, retry=quick) as client:
        for timeout_s in (None, 5.0):
            with pytest.raises(UnavailableError):
                client.create_label_set("pets", model="m", labels=LABELS, timeout_s=timeout_s)
    assert len(server.waits) == 2
    # gRPC rounds a deadline up a little
    assert 60 < server.waits[0] < 901
    assert server.waits[1] < 60


def test_failed_items_keep_their_places(client: Client) -> None:
    with pytest.raises(PartialError) as caught:
        client.classify("sentences", texts=["a", "", "b"], labels=LABELS)
    assert list(caught.value.errors) == [1]
    result: Any = caught.value.result
    assert [len(labels) for labels in result] == [3, 0, 3]
    returned = client.classify("sentences", texts=["a", "", "b"], labels=LABELS, on_error="return")
    assert returned == result


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ({}, "either labels= or label_set="),
        ({"labels": ["a"], "label_set": "b"}, "either labels= or label_set="),
        ({"label_set": "b", "templates": "plain"}, "has its own"),
        ({"labels": []}, "at least one"),
        ({"labels": ["a"], "templates": ["no place"]}, "exactly one"),
        ({"labels": ["a"], "templates": "{} and {}"}, "exactly one"),
        ({"labels": ["a"], "activation": "relu"}, "one of softmax, sigmoid"),
    ],
)
def test_bad_requests_are_refused_before_sending(
    client: Client, world: World, arguments: Any, problem: str
) -> None:
    with pytest.raises(InvalidArgumentError, match=problem):
        client.classify("sentences", inputs=[vector([1.0])], **arguments)
    assert not world.requests
