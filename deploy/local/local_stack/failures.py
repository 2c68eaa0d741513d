"""Why a part of the portal does not start, in a sentence that tells whoever started it what to do."""

from local_stack.ports import is_free
from local_stack.processes import Program


class StartError(RuntimeError):
    """A part does not start."""


def start_error(program: Program, *ports: int) -> StartError:
    """What is said of a program that ended, or did not answer in time, at its start; ``ports`` were claimed for it."""
    taken = [str(port) for port in ports if not program.is_running and not is_free(port)]
    if taken:
        return StartError(
            f"{program.name} does not start: port {', '.join(taken)}, free when it was chosen, "
            "has been taken by another program meanwhile; start again, and another one is chosen"
        )
    return StartError(f"{program.name} does not start; its log, {program.log}, ends with:\n{program.tail()}")
