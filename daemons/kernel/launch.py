"""How an installed program begins: descriptors first, so that even a broken import stays out of the dialogue."""

import gc

from . import descriptors


def launch(name: str) -> None:
    """Run the program daemons/NAME.py on what descriptor 0 gives; ends the process."""
    gc.disable()                        # while importing it finds nothing to free: 1.6 of 22 ms
    descriptors.shelter()
    try:
        _launch(name)
    except Exception as error:          # whoever would have reported it broke too: no memory, most likely
        descriptors.give_up(f"{type(error).__name__}: {error}")


def _launch(name: str) -> None:
    try:
        program = __import__(f"daemons.{name}", fromlist=["main"])
        gc.freeze()
        gc.enable()
    except Exception as error:
        from . import log, serve
        log.start(name)
        status = serve.crash(name, error)
        serve.refuse_callers(b"")
        serve.leave(status)
    program.main(program.SERVICE, *(getattr(program, part, None) for part in ("talk", "answer", "setup", "run")))
