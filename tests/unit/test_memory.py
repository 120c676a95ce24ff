"""Values by key, and which of them go."""

from __future__ import annotations

from wardian.memory import Memory


def test_a_memory_forgets_what_was_asked_for_longest_ago() -> None:
    memory: Memory[str] = Memory(limit=3)
    made: list[str] = []

    def ask(key: str, size: int = 1) -> None:
        def make() -> tuple[str, int]:
            made.append(key)
            return key, size

        memory.get(key, make)

    for key in ("a", "b", "c", "a", "d", "a", "b"):
        ask(key)
    assert made == ["a", "b", "c", "d", "b"]
    ask("larger than all", 4)
    ask("a")
    assert made[-2:] == ["larger than all", "a"]
