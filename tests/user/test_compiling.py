"""Code that compiles C++ where it runs: what was compiled here before answers in the proof."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.support import run_python, write_tree

# Of Python's headers only: those of torch take half a minute.
PROJECT = r"""
--- mill.py
from pathlib import Path
import torch
from torch.utils.cpp_extension import load

saw = load("saw", [str(Path(__file__).with_name("saw.cpp"))])

class Mill(torch.nn.Module):
    def forward(self, x):
        return saw.twice(x)
--- saw.cpp
#include <Python.h>
static PyObject* twice(PyObject*, PyObject* x) { return PyNumber_Add(x, x); }
static PyMethodDef methods[] = {{"twice", twice, METH_O, ""}, {nullptr, nullptr, 0, nullptr}};
static PyModuleDef saw = {PyModuleDef_HEAD_INIT, "saw", "", -1, methods};
PyMODINIT_FUNC PyInit_saw() { return PyModule_Create(&saw); }
"""


@pytest.mark.skipif(
    not all(map(shutil.which, ("ninja", "c++"))),
    reason="torch.utils.cpp_extension needs ninja and a compiler",
)
def test_a_warning_says_that_a_compiler_is_needed_where_the_case_is_loaded(
    tmp_path: Path,
) -> None:
    project = write_tree(tmp_path / "project", PROJECT)
    printed = run_python(
        """
        import sys, warnings, torch, wardian
        from mill import Mill
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always", wardian.WardianWarning)
            report = wardian.pack(Mill(), sys.argv[1], inputs=(torch.ones(1),))
        told = [str(w.message) for w in caught if w.category is wardian.WardianWarning]
        assert told == list(report.warnings), told
        print(report.manifest.proof, *told, sep="\\n")
        """,
        tmp_path / "mill.case",
        folder=tmp_path,
        paths=(project,),
        TORCH_EXTENSIONS_DIR=str(tmp_path / "extensions"),
    )
    proof, warning = printed.splitlines()
    assert proof == "passed"
    assert warning.startswith(
        "mill compiles C++ (saw.so) when it is imported or called (torch.utils.cpp_extension): where the case"
        " is loaded, a compiler and ninja are needed"
    )
