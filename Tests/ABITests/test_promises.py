"""What the header promises of floating point, callbacks, forks, signals, stacks and memory, from C and C++."""

import json
import shutil
import stat
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from header import REPOSITORY

HERE = Path(__file__).resolve().parent
TINY = REPOSITORY / "examples" / "models" / "dormouse-tiny"
MODELS = HERE.parent / "Fixtures" / "models"
WHISPER = HERE.parent / "Fixtures" / "whisper" / "good-multilingual"
MEDIA = REPOSITORY / "examples" / "media"


def run(*command, **options):
    result = subprocess.run([str(part) for part in command], capture_output=True, text=True, timeout=240, **options)
    assert result.returncode == 0, f"{result.returncode}\n{result.stdout}\n{result.stderr}"
    return result.stdout


@pytest.mark.parametrize("precision", ["native", "int8"])
def test_floating_point_environment(compile_c, precision):
    """Rounding, traps and flushing of the host's change nothing, and are as before after each call and in callbacks."""
    program = compile_c(HERE / "promises_floats.c", "-frounding-math", standard="c11")
    plain = run(program, TINY, precision, "none")
    for environment in ["up", "down", "zero", "flush", "trap"]:
        assert run(program, TINY, precision, environment) == plain, environment


def test_forks(compile_c):
    """Several at a time, so that threads are stopped anywhere: also where they hold what a child can't open."""
    program = compile_c(HERE / "promises_fork.c", "-pthread")
    with ThreadPoolExecutor(max_workers=6) as others:
        runs = [others.submit(run, program, MODELS / "good-tiny", TINY, WHISPER, MEDIA / "shapes.png") for _ in range(6)]
    for ended in runs:
        ended.result()


def test_faults_reach_the_host(compile_c, tmp_path):
    program = compile_c(HERE / "promises_signals.c", "-pthread")
    model = shutil.copytree(TINY, tmp_path / "model")
    result = subprocess.run([program, model], capture_output=True, text=True, timeout=60)
    assert (result.returncode, result.stderr) == (42, "")


@pytest.mark.parametrize("optimisation", ["-O0", "-O2"])
def test_callbacks_that_do_not_return(compile_c, optimisation):
    program = compile_c(
        HERE / "promises_callbacks.cpp", "-pthread", optimisation, "-Wno-clobbered", standard="c++17", compiler="c++")
    run(program, MODELS / "good-tiny", WHISPER)


def test_an_allocation_that_fails(compile_c):
    program = compile_c(HERE / "promises_memory.c", "-fno-builtin", standard="c11")
    lines = run(program, MODELS / "good-tiny").splitlines()
    assert [line.split(":")[0] for line in lines] == ["router", "engine"]
    # json-c's, at least: it makes most of a small document.
    assert all(int(line.split("memory ")[1].split(",")[0]) > 0 for line in lines), lines


def hostile_patterns():
    yield "groups", "(?:" * 240 + "a" + ")" * 240
    yield "captures", "(" * 240 + "a" + ")" * 240
    yield "lookaheads", "(?=" * 120 + "a" + ")" * 120 + "a"
    yield "repeats", "(?:" * 200 + "a" + ")*" * 200
    yield "classes", "[a" * 200 + "]" * 200
    yield "alternatives", "(?:" * 240 + "a" + "|b)" * 240


def hostile_templates():
    """As deep as the limits let them be, and far beyond."""
    for depth in (55, 110, 20000):
        yield f"parentheses-{depth}", "{{ " + "(" * depth + "1" + ")" * depth + " }}"
        yield f"lists-{depth}", "{{ " + "[" * depth + "]" * depth + "|tojson }}"
        yield f"mappings-{depth}", "{{ " + "{'a': " * depth + "1" + " }" * depth + "|tojson }}"
        yield f"conditions-{depth}", "{% if true %}" * depth + "x" + "{% endif %}" * depth
        yield f"loops-{depth}", "{% for i in [1] %}" * depth + "x" + "{% endfor %}" * depth
        yield f"filters-{depth}", "{{ 'x'" + "|upper" * depth + " }}"
        yield f"members-{depth}", "{{ messages" + "[0]" * depth + " }}"
        yield f"sums-{depth}", "{{ 1" + " + 1" * depth + " }}"
        yield f"powers-{depth}", "{{ 1" + " ** 1" * depth + " }}"
        yield f"joins-{depth}", "{{ 'x'" + " ~ 'x'" * depth + " }}"
        yield f"negations-{depth}", "{{ " + "not " * depth + "x }}"
        yield f"signs-{depth}", "{{ " + "-" * depth + "1 }}"
        yield f"choices-{depth}", "{{ " + "1 if x else " * depth + "2 }}"
        yield f"branches-{depth}", "{% if x %}" + "{% elif x %}y" * depth + "{% endif %}"
        yield f"comparisons-{depth}", "{{ 1" + " < 2" * depth + " }}"
        yield f"conjunctions-{depth}", "{{ true" + " and true" * depth + " }}"
        yield f"calls-{depth}", "{{ " + "range(" * depth + "1" + ")" * depth + " }}"
        grow = "{% set n = namespace(l=[]) %}{% for i in range(DEPTH) %}{% set n.l = [n.l] %}{% endfor %}"
        yield f"values-{depth}", grow.replace("DEPTH", str(depth)) + "{{ n.l|tojson }}{{ n.l }}{{ n.l == [n.l] }}"
        macro = "{% macro f(n) %}{{ BEFOREf(n + 1)|trimAFTER }}{% endmacro %}{{ f(0) }}"
        yield f"macros-{depth}", macro.replace("BEFORE", "(" * min(depth, 50)).replace("AFTER", ")" * min(depth, 50))


@pytest.fixture(scope="module")
def hostile_models(tmp_path_factory):
    """Folders with the weights of the model that ships, and patterns and templates that are nested as deep as they may."""
    base = tmp_path_factory.mktemp("hostile")

    def folder(name):
        made = base / name
        made.mkdir()
        for file in TINY.iterdir():
            (made / file.name).symlink_to(file)
        return made

    def write(path, text):
        path.unlink(missing_ok=True)
        path.write_text(text)

    for name, pattern in hostile_patterns():
        made = folder(f"pattern-{name}")
        tokenizer = json.loads((TINY / "tokenizer.json").read_text())
        steps = tokenizer["pre_tokenizer"]["pretokenizers"]
        split = {"type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False}
        write(made / "tokenizer.json", json.dumps({**tokenizer, "pre_tokenizer": {
            **tokenizer["pre_tokenizer"], "pretokenizers": [split, *steps]}}))
    for name, template in hostile_templates():
        write(folder(f"template-{name}") / "chat_template.jinja", template)
    made = folder("config-deep")
    config = json.loads((TINY / "config.json").read_text())
    write(made / "config.json", json.dumps({**config, "deep": json.loads("[" * 62 + "]" * 62)}))
    return sorted(base.iterdir())


def test_small_stacks(compile_c, hostile_models, tmp_path):
    program = compile_c(HERE / "promises_stacks.c", "-pthread")
    files = [MEDIA / name for name in ["shapes.png", "moving.mp4", "digits.mp3"]]
    output = run(program, TINY, WHISPER, TINY.parent / "dormouse-omni", tmp_path, *files, "--", *hostile_models)
    assert all(name + ": OK" in output for name in ("pattern-groups", "template-conditions-110", "template-sums-110")), output


def test_saved_sessions_are_private(compile_c, tmp_path):
    """Whatever the process's mask lets others read, and whatever was there before."""
    source = tmp_path / "save.c"
    source.write_text(
        '#include "expect.h"\n'
        "#include <stdlib.h>\n"
        "#include <sys/stat.h>\n"
        "int main(int argc, char **argv) {\n"
        "  dormouse_engine *engine;\n"
        "  dormouse_session *session;\n"
        "  int32_t tokens[] = {5, 6, 7};\n"
        "  if (argc != 3) return 2;\n"
        "  umask(0);\n"
        "  WORKS(dormouse_engine_open(&engine, argv[1], NULL, &error));\n"
        "  WORKS(dormouse_session_open(&session, engine, NULL, &error));\n"
        "  WORKS(dormouse_session_prefill(session, tokens, 3, &error));\n"
        "  WORKS(dormouse_session_save(session, argv[2], &error));\n"
        "  dormouse_session_free(session);\n"
        "  dormouse_engine_free(engine);\n"
        "  return failures != 0;\n"
        "}\n"
    )
    program = compile_c(source, f"-I{HERE}")
    path = tmp_path / "session"
    for leftover in [None, tmp_path / "session.tmp", path]:
        if leftover:
            leftover.write_text("open to all")
            leftover.chmod(0o666)
        run(program, MODELS / "good-tiny", path)
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
