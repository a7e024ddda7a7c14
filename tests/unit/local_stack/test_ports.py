import socket

from local_stack import ports


def listening(port: int = 0) -> socket.socket:
    listener = socket.socket()
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listener.bind((ports.HOST, port))
    listener.listen()
    return listener


def test_a_port_on_which_someone_listens_is_not_free() -> None:
    with listening() as listener:
        port = listener.getsockname()[1]
        assert not ports.is_free(port)
    assert ports.is_free(port)


def test_ports_are_distinct_free_and_below_those_of_outgoing_connections() -> None:
    chosen = ports.choose(5, seed="a folder")
    assert len(set(chosen)) == 5
    assert all(ports.is_free(port) for port in chosen)
    with socket.create_server((ports.HOST, 0)) as listener:
        drawn_by_the_system = listener.getsockname()[1]
    assert max(chosen) < drawn_by_the_system


def test_one_seed_starts_at_one_place_and_another_attempt_at_another() -> None:
    first = ports.choose(1, seed="a folder")
    assert ports.choose(1, seed="a folder") == first
    assert ports.choose(1, seed="a folder", attempt=1) != first
    assert ports.choose(1, seed="another folder") != first


def test_a_port_that_is_taken_is_passed_over() -> None:
    (first,) = ports.choose(1, seed="a folder")
    with listening(first):
        assert first not in ports.choose(3, seed="a folder")
    assert first not in ports.choose(3, seed="a folder", but=[first])


def test_no_port_at_all_can_be_asked_for() -> None:
    assert ports.choose(0, seed="a folder") == ()
