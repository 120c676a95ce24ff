"""Processes beside this one: clean ones, where evidence is taken and proof is given, and copies of this one.

Code of the object runs in clean processes, so nothing of it may reach this process, and nothing that it does
may last. In goes the name of a function with its arguments, out comes what it returned.

- `clean`: asks; `templates` keeps the processes that `template_process` turns into clean ones by forks
- `search_path`: whether what a template has imported would be found again
- `starting`, `boot`: a new interpreter where no template can serve; `child`: the work in it
- `fence`: no programs and no network there; `ties`: an end with the parent, and a limit of time
- `folders`: what one process leaves for another
- `rehearsal`: copies of this process, which see what an object does here; `pools`: pools in such copies
"""
