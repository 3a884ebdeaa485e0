"""The tensors of a checkpoint that somebody else wrote. Nothing of it is run, whatever it holds.

A `.pth` is a pickle: a program that builds objects, and may call anything. Two locks stand before it: the names it asks for are
listed without running it and must all be of tensors, and then PyTorch reads it with `weights_only=True`. An archive of
TorchScript, which is code and tensors, is read by a third one, which knows no function at all.
"""

import io
import pickle
import pickletools
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from genrestore.errors import ModelError

SHARED = 4  # times as many numbers as its file has bytes may the tensors of a checkpoint show, some of them twice
KINDS = {
    "FloatStorage": torch.float32, "DoubleStorage": torch.float64, "HalfStorage": torch.float16,
    "BFloat16Storage": torch.bfloat16, "LongStorage": torch.int64, "IntStorage": torch.int32, "ShortStorage": torch.int16,
    "CharStorage": torch.int8, "ByteStorage": torch.uint8, "BoolStorage": torch.bool,
}  # fmt: skip
PLAIN = {  # what a pickle of tensors asks for
    ("collections", "OrderedDict"), ("typing", "OrderedDict"), ("torch", "Size"), ("torch", "device"),
    ("torch._utils", "_rebuild_tensor_v2"), ("torch._utils", "_rebuild_parameter"), ("torch.nn.parameter", "Parameter"),
    *(("torch", kind) for kind in KINDS),
}  # fmt: skip
LISTS = ("build_intlist", "build_doublelist", "build_boollist", "build_tensorlist", "restore_type_tag")
MOST_PICKLE = 64 << 20  # bytes that a pickle takes beside its tensors
TUPLES = ("TUPLE", "TUPLE1", "TUPLE2", "TUPLE3", "FROZENSET")
DEEPEST = 16  # tuples within each other; of a net there are three or four
OLD = 5  # pickles that a file of PyTorch before 1.6 begins with, ahead of its tensors


def read(path: Path) -> dict[str, Tensor]:
    """The state dict in a .safetensors, .pth, .pt or .ckpt file, as spandrel names its tensors.

    What the file is, its first bytes tell, whatever its name.

    Raises:
        ModelError: there is none, it is damaged or not a checkpoint, or it wants more than to be read.
    """
    from spandrel import canonicalize_state_dict

    try:
        with path.open("rb") as file:
            first = file.read(16)
        size = path.stat().st_size
    except (OSError, ValueError):
        raise ModelError(
            f"There is no file {path} that can be read; give the path of a .safetensors or .pth file."
        ) from None
    if first[:2] == b"PK":
        state = _zip(path, size)
    elif first[8:9] == b"{":
        state = _safetensors(path)
    elif first[:1] == b"\x80":
        with path.open("rb") as file:
            _ask(path, file.read(MOST_PICKLE))
        state = _torch(path)
    else:
        raise ModelError(f"{path} is no checkpoint; give a .safetensors file, or a .pth, .pt or .ckpt file of PyTorch.")
    if not isinstance(state, Mapping):
        raise ModelError(f"{path} holds a {type(state).__name__} in place of named tensors, so its net is unknown.")
    named = canonicalize_state_dict({key: value for key, value in state.items() if isinstance(key, str)})
    kept = {str(key): value for key, value in named.items() if _usable(path, key, value, size)}
    if not kept or sum(value.numel() for value in kept.values()) > SHARED * size:  # before any is copied
        raise ModelError(f"{path} holds no tensors, or fewer numbers than it says; download it again.")
    return {key: value.detach().contiguous() for key, value in kept.items()}


def _usable(path: Path, key: Any, value: Any, size: int) -> bool:
    """Whether a value is a tensor to be kept; others, such as counts of steps, are passed over.

    Raises:
        ModelError: it is a tensor that the file cannot hold, or no net computes with.
    """
    if not isinstance(value, Tensor):
        return False
    sound = (
        0 not in value.shape and value.layout == torch.strided and value.device.type == "cpu" and not value.is_quantized
    )
    if not sound or value.is_complex() or value.numel() > SHARED * size:
        raise ModelError(
            f"{path} is damaged: {str(key)[:100]!r} claims {value.numel():,} numbers that it does not hold."
        )
    if value.is_floating_point() and not torch.isfinite(value).all():
        raise ModelError(f"{path} is damaged: {str(key)[:100]} holds numbers that are not finite; download it again.")
    return True


def _safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except (SafetensorError, OSError, ValueError, KeyError) as problem:
        raise _damaged(path, problem) from problem


def _torch(path: Path) -> Any:
    try:
        with path.open("rb") as file:  # of a path, PyTorch would believe the suffix
            return torch.load(file, map_location="cpu", weights_only=True)
    except MemoryError:
        raise
    except Exception as problem:  # a damaged pickle can end in anything
        raise _damaged(path, problem) from problem


def _zip(path: Path, size: int) -> Any:
    try:
        with zipfile.ZipFile(path) as archive:
            data = [entry.filename for entry in archive.infolist() if entry.filename.lower().endswith("/data.pkl")]
            folder = data[0][: -len("data.pkl")] if data else ""
            code = [entry for entry in archive.infolist() if entry.filename.startswith(f"{folder}code/")]
            entries = [entry for entry in archive.infolist() if entry not in code]
            if sum(entry.file_size for entry in entries) > size or any(entry.compress_type for entry in entries):
                raise ModelError(f"{path} is packed, which checkpoints are not; unpack it, and give the file inside.")
            if len(data) != 1:
                raise ModelError(f"{path} is a zip archive, but no checkpoint; unpack it, and give the file inside.")
            pickled = archive.read(data[0])
            if code:
                for _ in _asked(path, pickled):  # whatever it names, see _Inert; but it must have an end
                    pass
                return _script(archive, folder, pickled)
    except (zipfile.BadZipFile, OSError, EOFError, NotImplementedError, RuntimeError, ValueError) as problem:
        raise _damaged(path, problem) from problem
    except ModelError:
        raise
    except Exception as problem:  # of a damaged pickle
        raise _damaged(path, problem) from problem
    _ask(path, pickled)
    return _torch(path)


def _damaged(path: Path, problem: BaseException) -> ModelError:
    reason = " ".join(str(problem).split())[:120] or type(problem).__name__
    return ModelError(f"{path} is damaged, or no checkpoint ({reason}); download it again.")


# --- what a pickle asks for ----------------------------------------------------------------------------------------------


def _ask(path: Path, data: bytes) -> None:
    """Raises:
    ModelError: the pickles at the start of the data ask for what is not needed to build tensors.
    """
    strange = next((name for name in _asked(path, data) if name not in PLAIN), None)
    if strange is not None:
        raise ModelError(
            f"{path} is refused: to be read it would call {'.'.join(strange)[:100]!r}, which no net needs. Nothing of it was "
            "run; look for the model as a .safetensors file."
        )


def _asked(path: Path, data: bytes) -> Iterator[tuple[str, str]]:
    """(module, name) of everything that one or more pickles import, found without running them.

    What stands on the stack is followed as a text or none, and as how deep it is a tuple within tuples.

    Raises:
        ModelError: tuples are nested so deep that telling one from another, as the key of a dictionary, would take for ever.
    """
    stream = io.BytesIO(data)
    for _ in range(OLD):
        stack: list[tuple[str, int]] = []
        marks: list[int] = []
        memo: dict[int, tuple[str, int]] = {}
        try:
            for code, argument, _ in pickletools.genops(stream):
                if code.name == "MARK":
                    marks.append(len(stack))
                    continue
                if code.name == "MEMOIZE":
                    memo[len(memo)] = stack[-1]
                    continue
                if code.name in ("PUT", "BINPUT", "LONG_BINPUT"):
                    memo[int(argument or 0)] = stack[-1]
                    continue
                if code.name == "POP" and marks and marks[-1] == len(stack):
                    marks.pop()  # which that takes off, too
                    continue
                taken = _taken(code, stack, marks)
                if code.name in ("GLOBAL", "INST"):
                    module, _, name = str(argument).partition(" ")
                    yield module, name
                elif code.name == "STACK_GLOBAL":
                    yield taken[0][0], taken[1][0]
                if code.name in ("GET", "BINGET", "LONG_BINGET"):
                    stack.append(memo.get(int(argument or 0), ("", 0)))
                elif code.name == "DUP":
                    stack += [taken[0], taken[0]]
                elif code.stack_after:
                    deep = 1 + max((one for _, one in taken), default=0) if code.name in TUPLES else 0
                    if deep > DEEPEST:
                        raise ModelError(
                            f"{path} is refused: it nests tuples too deep for any net. Nothing of it was run; "
                            "take a .safetensors file."
                        )
                    stack.append((argument if isinstance(argument, str) else "", deep))
        except (ValueError, EOFError, IndexError):  # tensors follow, or the end
            return


def _taken(code: pickletools.OpcodeInfo, stack: list[tuple[str, int]], marks: list[int]) -> list[tuple[str, int]]:
    """What an instruction takes off the stack."""
    before = code.stack_before
    start = len(stack) - len(before)
    if pickletools.markobject in before:
        start = marks.pop() - before.index(pickletools.markobject)
    if start < 0:
        raise IndexError("an empty stack")
    taken = stack[start:]
    del stack[start:]
    return taken


# --- TorchScript ---------------------------------------------------------------------------------------------------------


class _Bag:
    """Stands for an object of TorchScript: what it holds, and nothing it does."""

    held: Any = None

    def __setstate__(self, held: Any) -> None:
        self.held = held


class _Inert(pickle.Unpickler):
    """Builds bags, lists and tensors; knows no function that does anything else."""

    def __init__(self, archive: zipfile.ZipFile, folder: str, data: bytes) -> None:
        super().__init__(io.BytesIO(data))
        self.archive, self.folder = archive, folder
        self.records: dict[tuple[str, torch.dtype], Tensor] = {}

    def find_class(self, module: str, name: str) -> Any:
        if module == "__torch__" or module.startswith("__torch__."):
            return type("Bag", (_Bag,), {})
        if (module, name) == ("torch._utils", "_rebuild_tensor_v2"):
            return partial(_view)  # a new one, whose attributes a pickle may set
        if module == "torch" and name in KINDS:
            return KINDS[name]
        if module == "torch.jit._pickle" and name in LISTS:
            return _first
        if (module, name) == ("collections", "OrderedDict"):
            return OrderedDict
        raise ModelError(f"TorchScript that asks for '{module[:50]}.{name[:50]}' is refused; nothing of it was run.")

    def persistent_load(self, pid: Any) -> Tensor:
        _, kind, key, *_ = pid
        if (key, kind) not in self.records:
            data = bytearray(self.archive.read(f"{self.folder}data/{key}"))
            self.records[key, kind] = torch.frombuffer(data, dtype=kind) if data else torch.empty(0, dtype=kind)
        return self.records[key, kind]


def _first(value: Any, *_: Any) -> Any:
    return value


def _view(storage: Tensor, offset: int, size: tuple[int, ...], stride: tuple[int, ...], *_: Any) -> Tensor:
    return storage.as_strided(size, stride, offset)


def _script(archive: zipfile.ZipFile, folder: str, data: bytes) -> dict[str, Tensor]:
    """The parameters and buffers of an archive of TorchScript, named as its state dict names them."""
    state: dict[str, Tensor] = {}
    left: list[tuple[str, Any]] = [("", _Inert(archive, folder, data).load())]
    seen: set[int] = set()  # a made-up one may hold itself
    while left:
        prefix, part = left.pop()
        held = part.held if isinstance(part, _Bag) and id(part) not in seen else None
        seen.add(id(part))
        for name, value in held.items() if isinstance(held, dict) else ():
            if isinstance(value, Tensor):
                state[f"{prefix}{name}"] = value
            elif isinstance(value, _Bag):
                left.append((f"{prefix}{name}.", value))
    return state
