"""A chat on a terminal, with a pseudo-terminal in the terminal's place."""

import ctypes
import json
import os
import pty
import select
import signal
import termios
import time
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
# On other instruction sets a terminal is the same.
pytestmark = pytest.mark.skipif("DORMOUSE_ISA" in os.environ, reason="once is enough")

QUESTION = "What is 7 plus 5?"
ANSWER = "7 plus 5 is 12."


class Terminal:
    def __init__(self, *command, name="dumb", edits=None):
        """name: of the kind of terminal; libedit edits on those that can move their cursor, unless edits says no."""
        self.screen = ""
        self.edits = name != "dumb" if edits is None else edits
        self.process, self.file = pty.fork()
        if self.process == 0:
            os.execve(command[0], command, {**os.environ, "TERM": name})

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
        """At a prompt. libedit shows it a moment before it takes keys; until then they are the system's to understand."""
        end = time.monotonic() + 60
        while self.edits and termios.tcgetattr(self.file)[3] & termios.ICANON:
            assert time.monotonic() < end, f"nobody takes keys; the screen: {self.screen!r}"
            time.sleep(0.01)
        os.write(self.file, text.encode())

    def status(self, seconds=60):
        """Reads what is still to come, and waits for the end."""
        end = time.monotonic() + seconds
        while True:
            if not select.select([self.file], [], [], max(0, end - time.monotonic()))[0]:
                os.kill(self.process, signal.SIGKILL)
                os.waitpid(self.process, 0)
                raise AssertionError(f"it did not end; the screen: {self.screen!r}")
            try:
                self.screen += os.read(self.file, 65536).decode("utf-8", "replace")
            except OSError:  # the other side is closed
                break
        _, status = os.waitpid(self.process, 0)
        os.close(self.file)
        return os.waitstatus_to_exitcode(status)


@pytest.fixture(params=["dumb", "xterm"])
def kind(request):
    """Without editing, and with it."""
    if request.param == "xterm":
        try:
            ctypes.CDLL("libedit.so.2")
        except OSError:
            pytest.fail("libedit2 is missing: Tests/steps/requirements.sh test installs it")
    return request.param


def test_chat(binary, tiny, kind):
    terminal = Terminal(binary, "run", tiny, name=kind)
    seen = terminal.wait_for("dormouse-tiny (deepseek_v3), a context of 1,024 tokens. /help lists commands")
    seen = terminal.wait_for("> ", since=seen)
    terminal.type(QUESTION + "\n")
    seen = terminal.wait_for(ANSWER, since=seen)
    seen = terminal.wait_for("> ", since=seen)
    terminal.type("\n")  # an empty line is no question
    seen = terminal.wait_for("> ", since=seen)
    terminal.type("\x04")  # Ctrl-D
    assert terminal.status() == 0


def test_interrupt_at_the_prompt(binary, tiny, kind):
    terminal = Terminal(binary, "run", tiny, name=kind)
    before = termios.tcgetattr(terminal.file)
    terminal.wait_for("> ")
    terminal.type("half a li")
    terminal.wait_for("half a li")
    terminal.type("\x03")  # Ctrl-C
    _, status = os.waitpid(terminal.process, 0)
    assert os.waitstatus_to_exitcode(status) == 130
    assert termios.tcgetattr(terminal.file) == before, "the terminal was left as editing wants it"
    os.close(terminal.file)


def test_a_line_can_be_edited_and_brought_back(binary, tiny):
    """Characters of any width, as UTF-8, whatever the language of the system."""
    for language in ["C", "C.UTF-8"]:
        os.environ["LC_ALL"] = language
        terminal = Terminal(binary, "run", tiny, name="xterm")
        del os.environ["LC_ALL"]
        seen = terminal.wait_for("> ")
        # Back over two characters of three bytes each, away with one that stood there, and on.
        terminal.type("8加猫5等于" + "\x1b[D" * 3 + "\x7f" + "\x05几?\n")
        seen = terminal.wait_for("8加5等于13。", since=seen)
        seen = terminal.wait_for("> ", since=seen)
        terminal.type("\x1b[A\n")  # the line above
        seen = terminal.wait_for("8加5等于13。", since=seen)
        terminal.wait_for("> ", since=seen)  # while an answer comes, Ctrl-D is the terminal's own
        terminal.type("\x04")
        assert terminal.status() == 0


def test_without_libedit(binary, tiny, tmp_path):
    """Something else of that name does not keep the command from working."""
    (tmp_path / "libedit.so.2").write_text("no library")
    os.environ["LD_LIBRARY_PATH"] = str(tmp_path)
    terminal = Terminal(binary, "run", tiny, name="xterm", edits=False)
    del os.environ["LD_LIBRARY_PATH"]
    seen = terminal.wait_for("> ")
    terminal.type(QUESTION + "\n")
    terminal.wait_for("> ", since=terminal.wait_for(ANSWER, since=seen))
    terminal.type("\x04")
    assert terminal.status() == 0


def test_messages_of_several_lines(binary, tiny, kind, tmp_path):
    saved = tmp_path / "saved messages.json"
    terminal = Terminal(binary, "run", tiny, "--max-tokens", "1", name=kind)
    seen = terminal.wait_for("> ")
    for text in ["one\\\ntwo\\\nthree\n", '"""\nfour\n\nfive\n"""\n', '"""six\nseven"""\n', "two \\\\\n", "//help\n"]:
        seen = len(terminal.screen)
        terminal.type(text)
        seen = terminal.wait_for("\n> ", since=seen)
    terminal.type(f'/save "{saved}"\n')
    terminal.wait_for("\n> ", since=seen)
    terminal.type("/exit\n")
    assert terminal.status() == 0
    asked = [message["content"] for message in json.loads(saved.read_text()) if message["role"] == "user"]
    assert asked == ["one\ntwo\nthree", "four\n\nfive", "six\nseven", "two \\\\", "/help"]


def test_commands(binary, tiny, tmp_path):
    saved = tmp_path / "messages.json"
    terminal = Terminal(binary, "run", tiny, "--system", "Be brief.", name="dumb")
    seen = terminal.wait_for("> ")

    def say(text, answer):
        nonlocal seen
        terminal.type(text + "\n")
        seen = terminal.wait_for("> ", since=terminal.wait_for(answer, since=seen))

    say("/help", "/clear")
    assert "/image" not in terminal.screen, "the model takes no images"
    say("/image picture.png", "dormouse-tiny does not take image: it takes text")
    say("/sing", "no such command '/sing'")
    say("/save", "/save needs a file")
    say("/save /nowhere/at/all.json", "cannot create it")
    say(QUESTION, ANSWER)
    say("/clear", "/clear")
    say("What is 9 plus 4?", "9 plus 4 is 13.")
    say(f"/save {saved}", str(saved))
    terminal.type("/exit\n")
    assert terminal.status() == 0
    assert json.loads(saved.read_text()) == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "What is 9 plus 4?"},
        {"role": "assistant", "content": "9 plus 4 is 13."},
    ]


def test_an_answer_that_fails_does_not_end_the_chat(binary, tiny):
    terminal = Terminal(binary, "run", tiny, "--context", "40")
    seen = terminal.wait_for("> ")
    terminal.type("plus " * 60 + "\n")
    seen = terminal.wait_for("> ", since=terminal.wait_for("dormouse: ", since=seen))
    terminal.type(QUESTION + "\n")
    seen = terminal.wait_for("> ", since=terminal.wait_for(ANSWER, since=seen))
    terminal.type("\x04")
    assert terminal.status() == 0


def test_a_picture_in_a_chat(binary, omni, kind, tmp_path):
    """From any folder: it is the user who names it."""
    image = tmp_path / "two shapes.png"
    image.write_bytes((REPOSITORY / "examples" / "media" / "shapes.png").read_bytes())
    terminal = Terminal(binary, "run", omni, name=kind)
    seen = terminal.wait_for("> ")
    terminal.type("/image /nowhere/at/all.png\n")
    seen = terminal.wait_for("> ", since=terminal.wait_for("No such file", since=seen))
    (tmp_path / "text.png").write_text("no image")
    terminal.type(f"/image {tmp_path}/text.png\nWhat is in the picture?\n")
    seen = terminal.wait_for("\n> ", since=terminal.wait_for("dormouse: ", since=seen))
    terminal.type("/image " + str(image).replace(" ", "\\ ") + "\n")
    seen = terminal.wait_for("\n> ", since=seen)
    terminal.type("What is in the picture?\n")
    seen = terminal.wait_for("A red circle and a blue star.", since=seen)
    terminal.wait_for("> ", since=seen)
    terminal.type("\x04")
    assert terminal.status() == 0


def test_progress_bar(binary, tiny):
    terminal = Terminal(binary, "run", tiny, "-p", QUESTION)
    terminal.wait_for(ANSWER)
    assert "loading [" in terminal.screen
    assert terminal.status() == 0


def test_bench_tells_what_it_measures(binary, tiny):
    terminal = Terminal(binary, "bench", tiny, "--prompt", "8", "--gen", "4", "--reps", "2", "--sessions", "2")
    assert terminal.status() == 0
    shown = terminal.screen
    assert "measuring [" in shown and "\x1b[K" in shown
    for work in [
        "warming up", "the machine's limits, 1 of 2", "prefill of 8 tokens, 2 of 2", "decoding of 4 tokens, 1 of 2",
        "2 sessions, 2 of 2", "100 %",
    ]:
        assert work in shown, work


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
    """Each answer is kept as soon as it is there, and the next run shows the last turn."""
    for turn in [1, 2]:
        terminal = Terminal(binary, "run", tiny, "--session", str(tmp_path / "session"))
        seen = terminal.wait_for("/help lists commands")
        if turn == 2:
            seen = terminal.wait_for(f"> {QUESTION}\r\n{ANSWER}\r\n", since=seen)
        seen = terminal.wait_for("> ", since=seen)
        terminal.type(QUESTION + "\n")
        seen = terminal.wait_for("> ", since=terminal.wait_for(QUESTION, since=seen))
        terminal.type("\x03")  # Ctrl-C
        assert terminal.status() == 130
        messages = json.loads((tmp_path / "session.messages.json").read_text())
        assert [message["role"] for message in messages] == ["user", "assistant"] * turn
    assert sorted(os.listdir(tmp_path)) == ["session", "session.messages.json"]
