"""The fault suite in small, and what docs/faults.md says of it."""

import re
from pathlib import Path

import fault_suite
import pytest
from fault_suite import FAULTS

PAGE = (Path(__file__).parents[1] / "docs" / "faults.md").read_text()
ROW = re.compile(r"^\| ([^|*]+) \| ([\d,]+) \| ([\d,]+) \| ([\d,]+) \| 0 \| 0 \|$", re.MULTILINE)


@pytest.fixture(scope="module")
def machine(tmp_path_factory):
    return fault_suite.machines(tmp_path_factory.mktemp("faults"))


@pytest.mark.parametrize("name", FAULTS)
def test_a_bad_line_ends_in_an_exact_trace_or_a_sentence(machine, name):
    row = fault_suite.suite(name, machine, range(5000, 5012))
    assert row.exact + row.sentences == row.runs == 12
    assert row.exact > 0 or FAULTS[name].ends == {"sentence"}


@pytest.mark.slow
@pytest.mark.parametrize("name", FAULTS)
def test_ten_thousand_runs_on_bad_lines_end_in_an_exact_trace_or_a_sentence(machine, name):
    row = fault_suite.suite(name, machine, range(10_000, 10_540))
    assert row.exact + row.sentences == row.runs == 540  # of each of 19 kinds


@pytest.mark.parametrize("name", ["stale", "resets", "bad day"])
def test_the_same_seed_ends_the_same_way(machine, name):
    def ends():
        fault_suite.Stale.old.clear()
        return [fault_suite.one_run(FAULTS[name], machine(FAULTS[name]), seed)[0] for seed in range(30)]

    assert ends() == ends()


@pytest.mark.slow
def test_the_page_is_what_the_suite_prints(machine):
    fault_suite.Stale.old.clear()
    table = fault_suite.table([fault_suite.suite(name, machine, range(560)) for name in FAULTS])
    assert table in PAGE


def test_the_page_lists_every_kind_of_fault_with_its_counts():
    rows = {title: [int(number.replace(",", "")) for number in numbers] for title, *numbers in ROW.findall(PAGE)}
    assert set(rows) == {fault.title for fault in FAULTS.values()}
    assert all(exact + sentences == runs for runs, exact, sentences in rows.values())
    assert sum(runs for runs, *_ in rows.values()) > 10_000
    total = re.search(r"\| \*\*all\*\* \| ([\d,]+) \|", PAGE)
    assert total is not None
    assert int(total[1].replace(",", "")) == sum(runs for runs, *_ in rows.values())


def test_a_wrong_baud_rate_is_said(machine):
    fault = FAULTS["baud"]
    for seed in range(4):
        line = fault.line(machine(fault), seed)
        with pytest.raises(fault_suite.LinkError, match="no answer among them: the baud rate is wrong"):
            fault_suite.Device(line, fault_suite.tiny_graph(), timing=fault_suite.Timing(quiet=1e9, tries=5))


def test_bytes_sent_at_the_rate_that_they_are_read_at_arrive_as_they_are():
    data = bytes(range(256))
    assert fault_suite.resampled(data, 115_200, 115_200) == data
    assert fault_suite.resampled(data, 115_200, 9600) != data
