"""The one reader of YAML records: a record is a frozen dataclass, and its fields say what a file
may hold.

A field's name is the key and its default what an absent or blank value means; without a default it
is required. Its type is ``str``, ``int``, ``bool``, a ``Literal``, an ``Annotated`` type with a
:class:`Kind`, a list ``tuple[T, ...]``, a mapping ``dict[str, T]`` or another record. Libraries
that validate (pydantic, msgspec, cattrs) speak a programmer's words or stop at the first problem.

Beside its fields a record may have ``SHORT``, the key of a value that stands without one, and
``contradictions()``, which yields key, value and expectation where fields do not fit together. It
is asked even if a field could not be read, which then has its default, or None if it is required.
"""

import difflib
import json
import re
from collections.abc import Callable, Collection, Iterable
from dataclasses import MISSING, dataclass, fields, is_dataclass
from functools import cache
from pathlib import Path
from types import NoneType
from typing import Annotated, Any, Final, Literal, TypeVar, get_args, get_origin, get_type_hints

import yaml

from salvage.problems import InputError, Problem

_Record = TypeVar("_Record")

#: Bytes of the largest file, and its values once every alias stands for what it repeats.
MOST_BYTES: Final = 1_000_000
MOST_VALUES: Final = 100_000
_BLANK: Final = ("", "~", "null")
_FLAGS: Final = {
    **dict.fromkeys(("true", "yes", "on", "1"), True),
    **dict.fromkeys(("false", "no", "off", "0"), False),
}


# --- kinds of values ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Kind:
    """How a text becomes a value.

    parse      raises ValueError or LookupError where the text is not what is ``expected``
    choices    every text that is allowed, if they can be listed
    blank      whether a blank is a value of its own, and not the default
    """

    parse: Callable[[str], Any]
    expected: str
    choices: tuple[str, ...] = ()
    blank: bool = False


def one_of(choices: Iterable[str]) -> Kind:
    """One of some words."""
    words = {word: word for word in choices}
    return Kind(words.__getitem__, f"one of {', '.join(words)}", tuple(words))


def whole_number(least: int = 0, most: int | None = None) -> Kind:
    """A whole number within limits, both included."""

    def parse(text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text) <= (most or int(text))):
            raise ValueError(text)
        return int(text)

    limits = f", {least} or more" if most is None else f" from {least} to {most}"
    return Kind(parse, f"a whole number{limits}")


_KINDS: Final = {
    str: Kind(str, "text"),
    int: whole_number(),
    bool: Kind(lambda text: _FLAGS[text.lower()], "true or false"),
}


def _plain(hint: Any) -> Any:
    """A type without ``| None``, and without notes such as the meaning of a setting."""
    if NoneType in get_args(hint):
        hint = get_args(hint)[0]
    noted = get_origin(hint) is Annotated and not isinstance(hint.__metadata__[0], Kind)
    return hint.__origin__ if noted else hint


@cache
def _keys(record: Any) -> dict[str, tuple[str, Any, bool]]:
    """Field, type and need of each key; a field called ``in_`` has the key ``in``."""
    hints = get_type_hints(record, include_extras=True)
    return {
        field.name.rstrip("_"): (
            field.name,
            _plain(hints[field.name]),
            field.default is field.default_factory is MISSING,
        )
        for field in fields(record)
    }


# --- reading --------------------------------------------------------------------------------------


class Reader:
    """Reads one file, and collects every problem of it.

    file       its name in each problem
    subject    what the problems mean, such as that the file cannot be used
    error      what is raised with them
    kinds      kinds of the plain types; a record with a kind is not written out but named by a text
    """

    def __init__(self, file: str, subject: str = "", error: type[InputError] = InputError) -> None:
        self.file, self.subject, self.error = file, subject, error
        self.problems: list[Problem] = []
        self.kinds: dict[Any, Kind] = dict(_KINDS)

    def load(self, path: Path, decode: Callable[[bytes], str | None] = bytes.decode) -> Any:
        """What a YAML file holds: texts, lists and mappings; an empty file is a blank text.

        Raises the reader's error where the file cannot be read, is too large, or holds a tag or a
        key that is given twice. ``decode`` gives None, or raises ValueError, for bytes of no text.
        """
        try:
            with path.open("rb") as stream:
                data = stream.read(MOST_BYTES + 1)
            if len(data) > MOST_BYTES:
                raise ValueError(f"at most {MOST_BYTES:,} bytes")
            text = decode(data)
            if text is None:
                raise ValueError("no other encoding is certain")
            # _TextLoader is a SafeLoader: it makes texts, lists and mappings, and nothing else.
            content = yaml.load(text.removeprefix("\ufeff"), Loader=_TextLoader)
            _bound(content)
        except (OSError, ValueError, RecursionError, yaml.YAMLError) as error:
            mark = getattr(error, "problem_mark", None)
            row = None if mark is None else mark.line + 1
            names = ("strerror", "problem", "reason")
            reason = next(filter(None, (getattr(error, name, None) for name in names)), str(error))
            self.problems.append(
                Problem(self.file, row, "", "", f"a YAML file in UTF-8 ({reason})")
            )
            raise self.error(self.subject, self.problems) from error
        return "" if content is None else content

    def check(self) -> None:
        """Raise the reader's error if there is any problem."""
        if self.problems:
            raise self.error(self.subject, self.problems)

    def wrong(
        self, place: str, value: object, expected: str, choices: Collection[str] = ()
    ) -> None:
        """Note a problem; the choice that is nearest to the value is its hint."""
        text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        hint = _nearest(text, choices)
        text = "" if value is None else text
        self.problems.append(Problem(self.file, None, place, text, expected, hint))

    def one_of(self, value: str | None, choices: Collection[str], place: str) -> None:
        """Note a problem where a value is none of the choices."""
        if value is not None and value not in choices:
            self.wrong(place, value, f"one of {', '.join(choices)}", choices)

    def known(self, keys: Iterable[str], choices: Collection[str], place: str) -> None:
        """Note a problem for each key that is none of the choices."""
        expected = f"one of the keys {', '.join(choices)}"
        for key in keys:
            if key not in choices:
                hint = _nearest(key, choices)
                self.problems.append(
                    Problem(self.file, None, _inside(place, key), "", expected, hint)
                )

    def record(self, record: type[_Record], content: Any, place: str = "") -> _Record:
        """A record from what a file holds at a place; whatever is wrong with it is noted.

        To be used after :meth:`check`: a required field that cannot be read is None.
        """
        short = getattr(record, "SHORT", None)
        if short is not None and not isinstance(content, dict) and content not in _BLANK:
            content = {short: content}
        keys = _keys(record)  # type: ignore[arg-type]
        mapping = self.mapping(content, place)
        if mapping is None:
            return record(**{name: None for name, _, required in keys.values() if required})
        self.known(mapping, keys, place)
        values = {}
        for key, (name, hint, required) in keys.items():
            if key in mapping or required:
                value = self.value(hint, mapping.get(key, ""), _inside(place, key), required)
                if value is not None or required:
                    values[name] = value
        filled = record(**values)
        if hasattr(filled, "contradictions"):
            for key, value, expected in filled.contradictions():
                self.wrong(_inside(place, key), value, expected)
        return filled

    def value(self, hint: Any, content: Any, place: str, required: bool = True) -> Any:
        """A value of a type; None if it is wrong, which is noted, or blank and not required."""
        kind = self._kind(hint)
        if kind is not None:
            return self._scalar(kind, content, place, required)
        if is_dataclass(hint):
            return self.record(hint, content, place)  # type: ignore[arg-type]
        inner = [_plain(argument) for argument in get_args(hint)]
        if get_origin(hint) is tuple:
            return self._list(inner[0], content, place)
        return self._dict(self._kind(inner[0]), inner[1], content, place)

    def _kind(self, hint: Any) -> Kind | None:
        """The kind of a text that a type stands for; None for a list, a mapping or a record."""
        if get_origin(hint) is Annotated:
            return next(note for note in hint.__metadata__ if isinstance(note, Kind))
        return one_of(get_args(hint)) if get_origin(hint) is Literal else self.kinds.get(hint)

    def _scalar(self, kind: Kind, content: Any, place: str, required: bool) -> Any:
        blank = content in _BLANK and not kind.blank
        if blank and not required:
            return None
        if isinstance(content, str) and not blank:
            try:
                return kind.parse(content.strip())
            except (ValueError, LookupError):
                pass
        self.wrong(place, content, kind.expected, kind.choices)
        return None

    def _list(self, hint: Any, content: Any, place: str) -> tuple[Any, ...]:
        """Values of one type; a text alone is a list of one."""
        kind = self._kind(hint)
        if content in _BLANK and not (kind and kind.blank):
            content = []
        elif isinstance(content, str) and kind:
            content = [content]
        if not isinstance(content, list):
            self.wrong(place, content, "a list, each item after a dash")
            return ()
        values = [self.value(hint, item, f"{place}[{i}]") for i, item in enumerate(content, 1)]
        return tuple(value for value in values if value is not None)

    def _dict(self, kind: Any, hint: Any, content: Any, place: str) -> dict[str, Any]:
        """Values of one type by their keys."""
        mapping = self.mapping(content, place) or {}
        choices = kind.choices or mapping
        self.known(mapping, choices, place)
        values = {
            kind.parse(key): self.value(hint, item, _inside(place, key))
            for key, item in mapping.items()
            if key in choices
        }
        return {key: value for key, value in values.items() if value is not None}

    def mapping(self, content: Any, place: str) -> dict[str, Any] | None:
        """Keys and values; None if they are something else, which is noted."""
        if isinstance(content, dict):
            return content
        if content in _BLANK:
            return {}
        self.wrong(place, content, "key: value lines")
        return None


class _TextLoader(yaml.SafeLoader):
    """YAML in which every scalar is text: a printed 0.40 is another fact than 0.4."""

    # Only "<<", which takes over the keys of an anchor, keeps its meaning; tags have none.
    yaml_implicit_resolvers = {"<": [("tag:yaml.org,2002:merge", re.compile("<<$"))]}  # noqa: RUF012
    yaml_constructors = {  # noqa: RUF012
        tag: construct
        for tag, construct in yaml.SafeLoader.yaml_constructors.items()
        if tag is None or tag.rpartition(":")[2] in ("str", "seq", "map")
    }

    def compose_mapping_node(self, anchor: Any) -> Any:
        node = super().compose_mapping_node(anchor)
        seen = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode):
                if key.value in seen:
                    reason = f"{key.value} is given twice"
                    raise yaml.MarkedYAMLError(problem=reason, problem_mark=key.start_mark)
                seen.add(key.value)
        return node

    def flatten_mapping(self, node: Any) -> None:
        super().flatten_mapping(node)
        if len(node.value) > MOST_VALUES:
            raise ValueError(f"at most {MOST_VALUES:,} values")


def _bound(content: Any) -> None:
    """Raise ValueError where aliases repeat more values than a file can be meant to hold."""
    values, number = [content], 0
    while values:
        value = values.pop()
        values += (
            value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
        )
        number += 1
        if number > MOST_VALUES:
            raise ValueError(f"at most {MOST_VALUES:,} values")


def _nearest(text: str, choices: Collection[str]) -> str:
    near = difflib.get_close_matches(text, choices, n=1)
    return f"{near[0]}?" if near else ""


def _inside(place: str, key: str) -> str:
    """The place of a key in a record; without a key, that of the record itself."""
    return f"{place}.{key}" if place and key else place or key
