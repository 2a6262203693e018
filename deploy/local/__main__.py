"""The command line: `python -m deploy.local serve | demo | exec`."""

import argparse
import json
import os
import signal
import subprocess
import sys
from functools import partial
from pathlib import Path
from types import FrameType
from typing import Any

from django.core.exceptions import ImproperlyConfigured

from deploy.local.databases import databases
from deploy.local.process import ProcessDied
from deploy.local.stack import STATE, Stack, claimed, running_stack, settings_for
from webapp.child_processes import dies_with
from webapp.environment import Environment


def main(argv: list[str]) -> int:
    """Run one of the commands, and give the exit status."""
    if argv[:1] == ["demo"]:  # it reads its own arguments
        from deploy.local import demo

        return demo.main(argv[1:])
    parser = argparse.ArgumentParser(prog="python -m deploy.local", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    run = commands.add_parser("serve", help="run the site and its workers until Ctrl-C")
    commands.add_parser("demo", help="play the whole loop")
    execute = commands.add_parser("exec", help="run a command with Postgres and Redis: exec -- python manage.py check")
    for command in (run, execute):
        command.add_argument("--state", type=Path, default=STATE, help="the folder for all data (default: %(default)s)")
    execute.add_argument("argv", nargs="+", metavar="command")
    arguments = parser.parse_args(argv)
    state = arguments.state.resolve()
    if arguments.command == "serve":
        return serve(state, port=Environment().whole("PORT", 8000, least=0, most=65_535))
    return execute_with_databases(state, arguments.argv)


def serve(state: Path, *, port: int) -> int:
    """Run everything until Ctrl-C, or until a process dies time after time."""
    print("Starting LesionLens …", flush=True)
    with running_stack(state, port=port) as stack:
        print(_welcome(stack, json.loads(stack.manage("demo_accounts"))), flush=True)
        stack.watch(say=partial(print, flush=True))
    return 0


def _welcome(stack: Stack, demo: dict[str, Any]) -> str:
    """What a person needs to know to begin."""
    accounts = "\n".join(f"    {account['role']:<12}{account['email']}" for account in demo["accounts"])
    return f"""
LesionLens is at {stack.base_url}

  The people of {demo["clinic"]}, all with the password {demo["password"]}
{accounts}

  A patient joins at {demo["join_url"]}
  API key            {demo["api_key"]}
  API documentation  {stack.base_url}/api/v1/docs
  E-mail lands in    {stack.folder / "mailbox"}
  Logs are in        {stack.folder / "logs"}

Begin as the provider: “New batch” takes photos. Who signs in by a code finds it in the e-mail.
Ctrl-C stops everything."""


def execute_with_databases(state: Path, argv: list[str]) -> int:
    """Run a command with DATABASE_URL and REDIS_URL set, and give its exit status."""
    with claimed(state), databases(state) as servers:
        environment = {**os.environ, **settings_for(state), **servers.environment}
        # It must not outlive its databases, even if this process is killed.
        ask = dies_with(os.getpid(), signal.SIGKILL)
        return subprocess.run(argv, env=environment, check=False, preexec_fn=ask).returncode  # noqa: S603


def _stop(number: int, _: FrameType | None) -> None:
    """Leave through every `with` block, so that all that was started is stopped."""
    raise SystemExit(128 + number)


if __name__ == "__main__":
    for interruption in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(interruption, _stop)
    try:
        sys.exit(main(sys.argv[1:]))
    except (ProcessDied, ImproperlyConfigured, RuntimeError, TimeoutError) as error:
        sys.exit(f"\n{error}")
