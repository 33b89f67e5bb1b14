"""What commands do about mistakes and about Ctrl-C."""

from __future__ import annotations

import subprocess
import sys
from subprocess import PIPE

import pytest

from recbole_tinynews import InputError
from recbole_tinynews.command import PATIENCE, command


@pytest.mark.parametrize(
    ("raised", "told", "code"),
    [(InputError("no plm", path="a.yaml"), "error: a.yaml: no plm\n", 1), (KeyboardInterrupt(), "stopped\n", 130)],
)
def test_mistakes_and_ctrl_c_are_one_line_and_an_exit_code(capsys, raised, told, code):
    @command
    def main(arguments=None):
        raise raised

    assert main() == code
    assert capsys.readouterr().err == told


def test_a_fault_of_the_program_keeps_its_traceback():
    @command
    def main(arguments=None):
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        main([])


@pytest.mark.parametrize(("returned", "code"), [(None, 0), (3, 3)])
def test_a_command_that_ends_well_gives_0_or_its_own_code(returned, code):
    assert command(lambda arguments: returned)([]) == code


def test_a_pipe_that_breaks_elsewhere_is_a_fault_of_the_program(capsys):
    @command
    def main():
        raise BrokenPipeError

    with pytest.raises(BrokenPipeError):
        main()
    assert capsys.readouterr().out == ""


def test_a_mistake_that_only_a_later_process_finds_is_told_in_the_end(monkeypatch, capsys):
    waited = []
    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr("recbole_tinynews.command.time.sleep", waited.append)

    @command
    def main():
        raise InputError("only here")

    assert main() == 1
    assert capsys.readouterr().err == "error: only here\n"
    assert waited == [PATIENCE]


def test_ctrl_c_while_a_later_process_waits_lets_it_tell_its_mistake_at_once(monkeypatch, capsys):
    def interrupted(seconds):
        raise KeyboardInterrupt

    monkeypatch.setenv("LOCAL_RANK", "1")
    monkeypatch.setattr("recbole_tinynews.command.time.sleep", interrupted)

    @command
    def main():
        raise InputError("only here")

    assert main() == 1
    assert capsys.readouterr().err == "error: only here\n"


@pytest.mark.parametrize("length", [1, 1_000_000])
def test_a_reader_that_has_read_enough_is_no_fault(length):
    lines = f"@command\ndef main(): print('x' * {length})\nsys.exit(main())"
    code = f"import sys\nfrom recbole_tinynews.command import command\nsys.stdin.read()\n{lines}"
    process = subprocess.Popen([sys.executable, "-c", code], stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True)
    process.stdout.close()
    process.stdin.close()
    assert process.stderr.read() == ""
    assert process.wait() == 1
    process.stderr.close()
