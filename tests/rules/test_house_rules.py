"""The rules of CONTRIBUTING.md that a machine can check."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest
from django.urls import URLPattern, URLResolver, get_resolver

ROOT = Path(__file__).resolve().parents[2]
OURS = ("webapp", "workers", "ml", "deploy")
SENDS = {"send_task", "delay", "apply_async"}
WRITES = {"create", "bulk_create", "get_or_create", "update_or_create", "update", "save", "delete"}
LONGEST = 300
CHANGING = {"uuid4", "now", "today", "localdate", "time", "token_hex", "token_urlsafe", "zipped"}  # ZIPs hold the time


def sources(*folders: str) -> Iterator[Path]:
    for folder in folders:
        yield from (path for path in (ROOT / folder).rglob("*.py") if "migrations" not in path.parts)


def method_calls(path: Path, names: set[str]) -> Iterator[ast.Call]:
    """Every `something.name(…)` in a file, of these names."""
    source = path.read_text()
    if any(f".{name}" in source for name in names):  # to parse a file takes a thousand times as long
        for node in ast.walk(ast.parse(source)):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in names:
                yield node


def is_door(path: Path) -> bool:
    """Whether a file of the site holds pages, endpoints or their addresses. In `webapp/api` is what endpoints share."""
    named = path.stem.endswith(("views", "urls")) or path.stem == "api"
    return named or not {"api", "views"}.isdisjoint(path.relative_to(ROOT).parts[2:])


def imports(path: Path) -> Iterator[str]:
    """Every module that a file may import: of `from a import b` both `a` and `a.b`."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def views() -> Iterator[tuple[str, URLPattern]]:
    """Every route of ours, with its path."""

    def walk(patterns: list[URLPattern | URLResolver], prefix: str) -> Iterator[tuple[str, URLPattern]]:
        for pattern in patterns:
            path = prefix + str(pattern.pattern)
            if isinstance(pattern, URLResolver):
                yield from walk(pattern.url_patterns, path)
            elif pattern.callback.__module__.startswith("webapp."):
                yield path, pattern

    return walk(get_resolver().url_patterns, "")


def test_every_task_has_a_name_a_place_and_limits() -> None:
    from webapp.queue import Task
    from workers import app

    ours = {name: task for name, task in app.tasks.items() if not name.startswith("celery.")}
    assert set(ours) == {str(task) for task in Task}
    for task in ours.values():
        assert task.soft_time_limit
        assert task.time_limit
        assert task.soft_time_limit < task.time_limit


def test_nothing_is_sent_but_through_the_bell() -> None:
    senders = {str(path.relative_to(ROOT)) for path in sources(*OURS) if any(method_calls(path, SENDS))}
    assert senders == {"webapp/queue.py"}


def test_every_view_says_who_may_enter() -> None:
    silent = []
    for path, pattern in views():
        cls = getattr(pattern.callback, "cls", None)
        ours = [base for base in cls.__mro__ if base.__module__.startswith("webapp.")] if cls else []
        stated = hasattr(pattern.callback, "entry") or any("permission_classes" in vars(base) for base in ours)
        if not stated:
            silent.append(path)
    assert silent == []


def test_only_addresses_lead_to_pages_and_endpoints() -> None:
    """What changes state knows nothing of them, and an app nothing of another app's."""
    doors = {".".join(path.relative_to(ROOT).with_suffix("").parts) for path in sources("webapp") if is_door(path)}
    offenders = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in sources(*OURS)
        if path.stem != "urls"
        for name in imports(path)
        if name in doors and not (is_door(path) and path.relative_to(ROOT).parts[1] == name.split(".")[1])
    ]
    assert len(doors) > 20
    assert offenders == []


def test_pages_and_api_change_nothing_themselves() -> None:
    """State changes in services; a view that writes to a model would escape their transactions."""
    offenders = [
        f"{path.relative_to(ROOT)}:{node.lineno}"
        for path in sources("webapp")
        if is_door(path)
        for node in method_calls(path, WRITES)
        if isinstance(node.func, ast.Attribute) and "objects" in ast.unparse(node.func.value)
    ]
    assert offenders == []


def test_what_tests_share_is_in_no_test_file() -> None:
    offenders = [
        f"{path.relative_to(ROOT)}: {name}"
        for path in sources("tests")
        for name in imports(path)
        if name.startswith("tests.") and ".test_" in name
    ]
    assert offenders == []


@pytest.mark.parametrize("package", [*OURS, "tests"])
def test_a_file_is_one_room(package: str) -> None:
    long = {
        str(path.relative_to(ROOT)): n
        for path in sources(package)
        if (n := len(path.read_text().splitlines())) > LONGEST
    }
    assert long == {}


def test_public_functions_say_what_they_give() -> None:
    silent = [
        f"{path.relative_to(ROOT)}:{node.name}"
        for path in sources("webapp", "workers", "ml")
        for node in ast.parse(path.read_text()).body
        if isinstance(node, ast.FunctionDef)
        and not node.name.startswith("_")
        and path.stem not in {"apps", "admin", "factories"}
        and ast.get_docstring(node) is None
    ]
    assert silent == []


def named_by_chance(source: str) -> Iterator[str]:
    """The tests whose cases may be named after a value that chance or the clock makes."""
    for test in (node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef)):
        for mark in test.decorator_list:
            if isinstance(mark, ast.Call) and ast.unparse(mark.func) == "pytest.mark.parametrize":
                calls = (call.func for call in ast.walk(mark) if isinstance(call, ast.Call))
                changes = any(ast.unparse(call).rpartition(".")[2] in CHANGING for call in calls)
                if changes and not any(keyword.arg == "ids" for keyword in mark.keywords):
                    yield test.name


def test_the_suites_processes_find_the_same_tests() -> None:
    found = {path: list(named_by_chance(path.read_text())) for path in (ROOT / "tests").rglob("test_*.py")}
    assert not {str(path.relative_to(ROOT)): tests for path, tests in found.items() if tests}, "Give these `ids`."


@pytest.mark.parametrize(
    ("mark", "refused"),
    [
        ('"a", [reverse("x", args=[uuid.uuid4()])]', True),
        ('"a", [timezone.now()], ids=["now"]', False),
        ('"a", [reverse("x")]', False),
    ],
)
def test_the_rule_knows_names_that_chance_makes(mark: str, refused: bool) -> None:
    assert list(named_by_chance(f"@pytest.mark.parametrize({mark})\ndef test_it(a): ...")) == ["test_it"] * refused
