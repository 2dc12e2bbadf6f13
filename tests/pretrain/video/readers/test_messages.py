import socket
from threading import Thread

import numpy as np
import pytest

from sora_video.pretrain.video.readers.messages import receive, send


@pytest.fixture
def ends():
    one, other = socket.socketpair()
    with one, other:
        yield one, other


@pytest.mark.parametrize("sizes", [[0], [10], [5000], [300_000, 0, 3, 300_000], [5000] * 1500])
def test_arrays_arrive_as_they_were_sent(ends, sizes):
    arrays = [np.arange(size, dtype=np.int64) for size in sizes]
    sender = Thread(target=lambda: [send(ends[0], ("first", arrays)), send(ends[0], "second")])
    sender.start()
    kind, received = receive(ends[1])
    assert (kind, receive(ends[1])) == ("first", "second")
    sender.join()
    for array, other in zip(arrays, received, strict=True):
        np.testing.assert_array_equal(other, array)
        other[:] = 0  # can be written to


@pytest.mark.parametrize("sent", [0, 5, 100, 40_000])
def test_a_message_that_stops_half_way_is_an_end(ends, sent):
    other_ends = socket.socketpair()
    with other_ends[0], other_ends[1]:
        send(other_ends[0], np.zeros(5_000))  # which the socket holds
        ends[0].sendall(other_ends[1].recv(sent, socket.MSG_WAITALL))
    ends[0].close()
    with pytest.raises(EOFError, match="gone"):
        receive(ends[1])
