"""Shares of layers and the picture, from raw stacks."""

from collections import Counter
from xml.etree import ElementTree as ET

import pytest

from bench.flame_layers import layer_of, read_stacks, shares
from bench.flame_svg import boxes, drawn, short, tree_of

RAW = """
main (service.py);run (asyncio/runners.py);_poll (uvloop/loop.pyx) 10
main (service.py);run (asyncio/runners.py);handle (grpc/_server.py);score (inference/serve/plane.py) 50
main (service.py);run (asyncio/runners.py);score (inference/serve/plane.py);asarray (numpy/core.py) 30
main (service.py);run (asyncio/runners.py);one<two> (bus/producer.py) 9
main (service.py);run (asyncio/runners.py);tiny (somewhere.py) 1
"""


def test_stacks_are_read_with_their_counts_and_lines_of_one_stack_add_up() -> None:
    assert read_stacks(["a (x.py:1);b c (y.py) 3", "", "a (x.py:1);b c (y.py) 4"]) == {
        ("a (x.py)", "b c (y.py)"): 7
    }
    with pytest.raises(ValueError, match="line 1 is no stack with a count"):
        read_stacks(["nothing"])


def test_the_innermost_frame_that_a_layer_claims_decides() -> None:
    assert layer_of(("handle (grpc/aio/_server.py)", "score (inference/serve/plane.py)")) == "serving"
    assert layer_of(("score (inference/serve/plane.py)", "asarray (numpy/core.py)")) == "serving"
    assert layer_of(("offer (inference/adapters/kafka.py)", "SerializeToString (upb.so)")) == "log"
    assert layer_of(("start (threading.py)",)) == "other"


@pytest.mark.parametrize(
    ("frames", "layer"),
    [
        ("behave (inference/adapters/grpc.py:120);asked_of (inference/adapters/wire.py:47)", "decoding"),
        ("behave (inference/adapters/grpc.py:120);score_response (inference/adapters/wire.py:94)", "reply"),
        (
            "_write_out (inference/adapters/kafka.py:114);sized (inference/adapters/wire_predictions.py:1)",
            "log",
        ),
        ("poll (bus/kafka/tail.py:5);wait (asyncio/tasks.py:399)", "Kafka"),
        ("call (inference/adapters/resp.py:81);UVStream__try_write (loop.c:106)", "reading"),
        ("uv_run (core.c:464);0x7facb2b7 (grpc/_cython/cygrpc.so);sendmsg (libc.so.6)", "gRPC"),
        ("call (grpc/aio/server.pyx);PyUpb_Message_SerializeToString (_message.so)", "reply"),
        ("uv_run (core.c:464);uv__io_poll (linux.c:1452)", "event loop"),
    ],
)
def test_layers_as_the_service_has_them(frames: str, layer: str) -> None:
    (stack,) = read_stacks([f"run (runners.py:1);{frames} 1"])
    assert layer_of(stack) == layer


def test_threads_that_wait_take_no_processor() -> None:
    waiting = [
        "run (core.c:4);uv__io_poll (linux.c:1452);epoll_pwait (libc.so.6) 10",
        "_worker (thread.py:1);PyThread_acquire_lock_timed (libpython.so);0x7fac (libc.so.6) 10",
    ]
    assert not read_stacks(waiting)


def test_shares_add_up_and_the_largest_is_first() -> None:
    found = shares(read_stacks(RAW.splitlines()))
    assert found == {"serving": 0.8, "event loop": 0.11, "Kafka": 0.09}
    with pytest.raises(ValueError, match="no sample"):
        shares(Counter())


def test_the_tree_begins_where_stacks_part_and_leaves_out_what_is_too_narrow() -> None:
    root = tree_of(read_stacks(RAW.splitlines()))
    assert (root.frame, root.count) == ("run (asyncio/runners.py)", 100)
    called = {box.frame: box.share for box in boxes(root, least_share=0.05) if box.depth == 1}
    assert called == {
        "handle (grpc/_server.py)": 0.5,
        "score (inference/serve/plane.py)": 0.3,
        "_poll (uvloop/loop.pyx)": 0.1,
        "one<two> (bus/producer.py)": 0.09,
    }


def test_no_frame_reaches_beyond_its_caller() -> None:
    placed = list(boxes(tree_of(read_stacks(RAW.splitlines())), least_share=0))
    for one in placed[1:]:
        assert any(
            above.depth == one.depth - 1
            and above.left <= one.left + 1e-9
            and one.left + one.share <= above.left + above.share + 1e-9
            for above in placed
        )


def test_frames_that_repeat_are_one() -> None:
    root = tree_of(Counter({("a", "b", "b", "b", "c"): 2, ("a", "d"): 1}))
    assert sorted(box.frame for box in boxes(root)) == ["a", "b", "c", "d"]


def test_the_glue_between_functions_is_not_drawn_but_its_time_is_its_callers() -> None:
    stacks = Counter({("run (a.py)", "task_step (_asynciomodule.c)", "f (b.py)"): 3, ("run (a.py)",): 1})
    assert [(box.frame, box.share) for box in boxes(tree_of(stacks))] == [
        ("run (a.py)", 1.0),
        ("f (b.py)", 0.75),
    ]


def test_the_picture_is_an_svg_whose_names_are_escaped() -> None:
    picture = ET.fromstring(drawn(read_stacks(RAW.splitlines())))
    titles = [node.text for node in picture.iter() if node.tag.endswith("title")]
    assert "one<two> (bus/producer.py): 9.0%" in titles


def test_a_frame_is_told_by_its_name_and_the_end_of_its_path() -> None:
    assert short("score (lib/python3/inference/serve/plane.py)") == "score (serve/plane.py)"
    assert short("start_thread") == "start_thread"
