"""The group of commands, and what is done with errors."""

from __future__ import annotations

import os
import sys
import traceback
from collections.abc import Sequence

import click

from wardian.cli import looking, signatures, trusting, working
from wardian.cli.exits import UNANSWERED, AnswerIsNo, CodeFailed, code_of
from wardian.cli.output import echo_error, keep_whole, plain_warnings
from wardian.errors import WardianError

__all__ = ["COMPLETION", "commands", "run"]

COMPLETION = "_WARDIAN_COMPLETE"
"""Variable of the environment in which a shell asks for completions."""


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="wardian")
@click.option("--debug", is_flag=True, help="Show the traceback of an error.")
def commands(debug: bool) -> None:
    """Pack a live PyTorch model into one sealed file, look at such files, check and run them.

    A FILE is a case, or where it makes sense an archive of torch.package. Looking runs no code of it.

    Exit codes: 0 yes; 1 the answer is no (does not fit here, differs, is damaged, cannot be packed);
    2 there is no answer (no such file, not a case, wrong usage).
    """


for _command in (*looking.COMMANDS, *signatures.COMMANDS, *trusting.COMMANDS, *working.COMMANDS):
    commands.add_command(_command)


def run(arguments: Sequence[str]) -> int:
    """Run one command line.

    Args:
        arguments: Its words, without the name of the program.

    Returns:
        The exit code.
    """
    words = list(arguments)
    keep_whole(words)
    # Wherever it stands: one adds it to the line that went wrong.
    end = words.index("--") if "--" in words else len(words)
    debug = "--debug" in words[:end]
    words = [word for word in words[:end] if word != "--debug"] + words[end:]
    # https://no-color.org: any text but the empty one turns colours off.
    color = False if os.environ.get("NO_COLOR") else None
    try:
        if COMPLETION in os.environ:
            commands.main(words, "wardian", complete_var=COMPLETION)
        # Not `main`, for which a pipe whose reader has enough is a failure.
        with plain_warnings(), commands.make_context("wardian", words, color=color) as context:
            code = commands.invoke(context)
        sys.stdout.flush()  # what goes wrong now can still be told
    except click.exceptions.Exit as error:
        return error.exit_code
    except (click.Abort, KeyboardInterrupt):
        echo_error("interrupted")
        return 130
    except click.exceptions.NoArgsIsHelpError as error:
        error.show()
        return UNANSWERED
    except click.ClickException as error:
        echo_error(_usage(error))
        return error.exit_code if isinstance(error, AnswerIsNo) else UNANSWERED
    except BrokenPipeError:
        # The reader has enough, as `head` does. The interpreter would complain when it flushes.
        with open(os.devnull, "wb") as nothing:
            os.dup2(nothing.fileno(), sys.stdout.fileno())
        return 0
    except (WardianError, OSError) as error:
        return _tell(error, _text_of(error), debug=debug)
    except Exception as found:  # noqa: BLE001  of the user's code, or a bug of ours
        raised = found.__cause__ if isinstance(found, CodeFailed) and found.__cause__ else found
        text = f"{type(raised).__name__}: {raised}\n  wardian --debug ... shows where"
        return _tell(raised, text, debug=debug)
    return int(code or 0)


def _tell(error: BaseException, text: str, *, debug: bool) -> int:
    if debug:
        traceback.print_exception(error)
    else:
        echo_error(text)
    return code_of(error)


def _usage(error: click.ClickException) -> str:
    text = error.format_message()
    if not isinstance(error, click.UsageError) or error.ctx is None:
        return text
    return f"{text}\n  help: {error.ctx.command_path} --help"


def _text_of(error: Exception) -> str:
    if isinstance(error, OSError) and error.strerror:
        return f"{error.filename}: {error.strerror}" if error.filename else error.strerror
    return f"{error}\n  see: {error.page}" if isinstance(error, WardianError) else str(error)
