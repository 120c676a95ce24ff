"""Digests in forked processes."""

from __future__ import annotations

from pathlib import Path

from tests.support import run_python


def test_a_forked_process_hashes_though_the_threads_of_its_parent_are_gone(tmp_path: Path) -> None:
    script = """
        import os, signal
        from wardian.archive.digests import digest_of, new_blake3

        def digest(content):
            hasher = new_blake3(all_cores=True)
            hasher.update(content)
            assert hasher.digest().hex() == digest_of(content, "blake3").hex
            return hasher.digest()

        def forked(work):
            child = os.fork()
            if not child:
                signal.alarm(60)
                work()
                os._exit(0)
            assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

        content = os.urandom(4 << 20)
        forked(lambda: digest(content))  # the pool is not made yet
        wanted = digest(content)

        def again():
            assert digest(content) == wanted
            forked(lambda: digest(content))

        forked(again)
    """
    run_python(script, folder=tmp_path)


def test_a_forked_process_loads_and_packs(tmp_path: Path) -> None:
    script = """
        import os, signal, torch, wardian
        torch.set_num_threads(1)
        for name in "ab":
            wardian.pack(torch.zeros(1 << 18) + ord(name), f"{name}.case", prove=False)
        wardian.load("a.case")
        child = os.fork()
        if not child:
            signal.alarm(60)
            loaded = wardian.load("b.case", mmap=False)
            assert (loaded == ord("b")).all()
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    """
    run_python(script, folder=tmp_path)
