"""A chat on a terminal, with a pseudo-terminal in the terminal's place."""

import json
import os
import pty
import select
import signal
import time

QUESTION = "What is 7 plus 5?"
ANSWER = "7 plus 5 is 12."


class Terminal:
    def __init__(self, *command):
        self.screen = ""
        self.process, self.file = pty.fork()
        if self.process == 0:
            os.execv(command[0], command)

    def wait_for(self, text, seconds=60, since=0):
        """Where the text ends on the screen."""
        end = time.monotonic() + seconds
        while text not in self.screen[since:]:
            left = end - time.monotonic()
            assert left > 0, f"{text!r} did not come; the screen: {self.screen!r}"
            if select.select([self.file], [], [], left)[0]:
                try:
                    self.screen += os.read(self.file, 65536).decode("utf-8", "replace")
                except OSError:  # the other side is closed
                    assert text in self.screen[since:], self.screen
        return self.screen.index(text, since) + len(text)

    def type(self, text):
        os.write(self.file, text.encode())

    def status(self):
        _, status = os.waitpid(self.process, 0)
        os.close(self.file)
        return os.waitstatus_to_exitcode(status)


def test_chat(binary, tiny):
    terminal = Terminal(binary, "run", tiny)
    seen = terminal.wait_for("> ")
    terminal.type(QUESTION + "\n")
    seen = terminal.wait_for(ANSWER, since=seen)
    seen = terminal.wait_for("> ", since=seen)
    terminal.type("\n")  # an empty line is no question
    seen = terminal.wait_for("> ", since=seen)
    terminal.type("\x04")  # Ctrl-D
    assert terminal.status() == 0


def test_interrupt_at_the_prompt(binary, tiny):
    terminal = Terminal(binary, "run", tiny)
    terminal.wait_for("> ")
    terminal.type("\x03")  # Ctrl-C
    assert terminal.status() == 130


def test_progress_bar(binary, tiny):
    terminal = Terminal(binary, "run", tiny, "-p", QUESTION)
    terminal.wait_for(ANSWER)
    assert "loading [" in terminal.screen
    assert terminal.status() == 0


def test_interrupt_of_an_answer_ends_a_single_run(binary, tiny):
    terminal = Terminal(binary, "bench", tiny, "--prompt", "100", "--gen", "100", "--reps", "1000")
    terminal.wait_for("measuring [")
    terminal.type("\x03")
    terminal.wait_for("interrupted")
    assert terminal.status() == 130


def test_killed_parent_does_not_matter(binary, tiny):
    """A terminal that goes away ends the chat."""
    terminal = Terminal(binary, "run", tiny)
    terminal.wait_for("> ")
    os.close(terminal.file)
    for _ in range(100):
        done, _ = os.waitpid(terminal.process, os.WNOHANG)
        if done:
            return
        time.sleep(0.1)
    os.kill(terminal.process, signal.SIGKILL)
    os.waitpid(terminal.process, 0)
    raise AssertionError("the chat outlived its terminal")


def test_a_saved_chat_survives_an_interrupt(binary, tiny, tmp_path):
    """Each answer is kept as soon as it is there."""
    for turn in [1, 2]:
        terminal = Terminal(binary, "run", tiny, "--session", str(tmp_path / "session"))
        seen = terminal.wait_for("> ")
        terminal.type(QUESTION + "\n")
        seen = terminal.wait_for("> ", since=terminal.wait_for(QUESTION, since=seen))
        terminal.type("\x03")  # Ctrl-C
        assert terminal.status() == 130
        messages = json.loads((tmp_path / "session.messages.json").read_text())
        assert [message["role"] for message in messages] == ["user", "assistant"] * turn
    assert sorted(os.listdir(tmp_path)) == ["session", "session.messages.json"]
