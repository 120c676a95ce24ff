"""Run a stranger's case where it can do no harm: in a child process that reaches next to nothing.

In goes a file, out comes a proxy of its object.

- `wire`: plain data as bytes and back, with limits; what comes back is hostile input
- `memory`: the memory in which tensors cross
- `bubblewrap`, `landlock`, `syscalls`, `limits`: what a child may not do
- `child`: the program in the cage
- `launching`: starts the child, the way that this machine has, and says what it may read
- `cage`: one child and the questions it is asked
- `proxy`: an object of a case as a caller sees it
"""
