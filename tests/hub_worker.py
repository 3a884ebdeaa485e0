"""One process that does what the tests of the Hub ask, so that PyTorch and the client are loaded once.

It reads a line of JSON for each, {"argv": […]} for the command line or {"python": "…"} for a text whose `result` is told, with
"environment" and "stdin", and answers with a line: {"code", "out", "err", "result"}.
"""

import contextlib
import io
import json
import os
import sys
import time
import traceback
import types
from typing import Any

import huggingface_hub.file_download

from genrestore import __main__ as command

# The client waits a second before each of five attempts; its own module alone is spared that.
own: Any = types.SimpleNamespace(**vars(time))
own.sleep = lambda seconds: None
huggingface_hub.file_download.time = own


class Stream(io.StringIO):
    terminal = False

    def isatty(self) -> bool:
        return self.terminal


def done(asked: dict[str, Any]) -> dict[str, Any]:
    out, err, answer = io.StringIO(), Stream(), {"code": 0, "result": None}
    usual = dict(os.environ)
    os.environ.update(asked.get("environment", {}))
    stdin = sys.stdin
    sys.stdin = typed = Stream(asked.get("stdin", ""))
    typed.terminal = err.terminal = asked.get("terminal", False)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            if "argv" in asked:
                command.main(asked["argv"])
            names: dict[str, Any] = {}
            exec(asked["python"], names)
            answer["result"] = names.get("result")
    except SystemExit as end:
        answer["code"] = int(end.code or 0)
    except BaseException:
        answer["code"] = 99
        err.write(traceback.format_exc())
    finally:
        sys.stdin = stdin
        os.environ.clear()
        os.environ.update(usual)
    return {**answer, "out": out.getvalue(), "err": err.getvalue()}


if __name__ == "__main__":
    told = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)  # what else is printed goes elsewhere
    for line in sys.stdin:
        told.write(json.dumps(done(json.loads(line)), default=str) + "\n")
        told.flush()
