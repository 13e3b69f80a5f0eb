"""Standard error and the filters of warnings are put back, also where threads catch them side by side."""

import os
import threading
import warnings

from firmware_tools.reference.native import caught_stderr


def test_what_is_written_is_caught_and_standard_error_put_back():
    before = os.fstat(2)
    with caught_stderr() as said:
        os.write(2, b"a line of C++")
        assert said() == "a line of C++"
    assert os.path.samestat(before, os.fstat(2))


def test_two_threads_do_not_put_back_what_the_other_changed():
    before = os.fstat(2)
    filters = list(warnings.filters)
    inside, leave = threading.Event(), threading.Event()

    def catch():
        with caught_stderr():
            inside.set()
            leave.wait(60)

    other = threading.Thread(target=catch)
    with caught_stderr():
        other.start()
        assert not inside.wait(0.5), "two threads catch standard error at once"
    assert inside.wait(60)
    leave.set()
    other.join()
    assert os.path.samestat(before, os.fstat(2))
    assert warnings.filters == filters


def test_catching_may_be_nested():
    with caught_stderr() as outer:
        with caught_stderr() as inner:
            os.write(2, b"inner")
            assert inner() == "inner"
        os.write(2, b"outer")
        assert outer() == "outer"
