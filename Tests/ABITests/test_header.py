"""The header alone is clean in every language it promises."""

import pytest


@pytest.mark.parametrize("standard", ["c99", "c11", "c17"])
def test_header_is_clean_c(compile_c, tmp_path, standard):
    source = tmp_path / "alone.c"
    source.write_text("#include <dormouse.h>\n#include <dormouse.h>\ntypedef int not_empty;\n")
    compile_c(source, "-Wstrict-prototypes", "-Wmissing-prototypes", standard=standard, link=False)


@pytest.mark.parametrize("standard", ["c++17", "c++20"])
def test_header_is_clean_cpp(compile_c, tmp_path, standard):
    source = tmp_path / "alone.cpp"
    source.write_text(
        "#include <dormouse.h>\n"
        "int main() {\n"
        "  dormouse_error error = DORMOUSE_ERROR_INIT;\n"
        "  dormouse_engine_options engine = DORMOUSE_ENGINE_OPTIONS_INIT;\n"
        "  dormouse_session_options session = DORMOUSE_SESSION_OPTIONS_INIT;\n"
        "  return error.status + (int)engine.flags + session.cache;\n"
        "}\n"
    )
    compile_c(source, standard=standard, compiler="c++")
