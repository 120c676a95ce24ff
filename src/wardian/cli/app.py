"""The group of commands, and what is done with errors."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

import click

from wardian.cli import looking, working
from wardian.cli.exits import UNANSWERED, code_of
from wardian.cli.output import echo_error
from wardian.errors import WardianError

__all__ = ["commands", "run"]


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="wardian")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def commands(debug: bool) -> None:
    """Pack a live PyTorch model into one sealed file, look at such files, check and run them.

    A FILE is a case, or where it makes sense an archive of torch.package. Looking runs no code of it.

    Exit codes: 0 yes; 1 the answer is no (does not fit here, differs, is damaged, cannot be packed);
    2 there is no answer (no such file, not a case, wrong usage).
    """


for _command in (*looking.COMMANDS, *working.COMMANDS):
    commands.add_command(_command)


def run(arguments: Sequence[str]) -> int:
    """Run one command line.

    Args:
        arguments: Its words, without the name of the program.

    Returns:
        The exit code.
    """
    # https://no-color.org: any text but the empty one turns colours off.
    color = False if os.environ.get("NO_COLOR") else None
    try:
        code = commands.main(list(arguments), prog_name="wardian", standalone_mode=False, color=color)
    except click.exceptions.Exit as error:
        return error.exit_code
    except click.Abort:
        echo_error("interrupted")
        return 130
    except click.ClickException as error:
        error.show()
        return UNANSWERED
    except BrokenPipeError:
        # The reader has enough, as `head` does. The interpreter would complain when it flushes.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (WardianError, OSError) as error:
        if "--debug" in arguments:
            raise
        echo_error(_text_of(error))
        return code_of(error)
    return int(code or 0)


def _text_of(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return str(error)
