"""``semg`` and ``python -m semg``: the commands, their options, and how they end.

Exit codes: 0 done; 1 a sentence on stderr says why not; 2 wrong options; 4 nothing was written or stored, because
nobody agreed to it or nothing was confirmed; 130 interrupted.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn, get_args

import click

from semg.errors import SemgError
from semg.formats.registry import InKind, OutKind

if TYPE_CHECKING:  # a command that only shows its help loads neither
    from semg.settings import Settings
    from semg.store.pool import Pool

EXIT_FAILED, EXIT_NOTHING, EXIT_INTERRUPTED = 1, 4, 130
PLATFORM_COMMANDS = ("start", "stop", "status", "supervise", "backup", "restore", "rotate-key", "reencrypt")


@click.group(
    context_settings={"help_option_names": ["-h", "--help"]},
    epilog=f"Also: semg {{{', '.join(PLATFORM_COMMANDS)}}}, as python -m semg.platform.",
)
def commands() -> None:
    """Files out of the platform, and into it. The settings are those of .env, as for every tool."""


@commands.command("export")
@click.option("--format", "kind", type=click.Choice(get_args(OutKind)), required=True, help="What is written.")
@click.option("--userid", "user_ids", type=click.IntRange(min=1), multiple=True, help="A profile; may be repeated.")
@click.option("--all", "everybody", is_flag=True, help="All profiles, in place of --userid.")
@click.option("--session", "session_ids", type=click.IntRange(min=1), multiple=True, help="Only these sessions.")
@click.option("--out", type=click.Path(path_type=Path), required=True, help="Folder to make; empty or not there yet.")
@click.option("--internal", is_flag=True, help="For the group that recorded: consent to share is not asked for.")
@click.option("--video", is_flag=True, help="With --internal: also the videos, decrypted.")
@click.option("--json", "as_json", is_flag=True, help="Say what was written as JSON.")
def export_command(
    kind: OutKind, user_ids: tuple[int, ...], everybody: bool, session_ids: tuple[int, ...], out: Path, internal: bool,
    video: bool, as_json: bool,
) -> None:  # fmt: skip
    """Write sessions as files for other tools.

    Who has not agreed to share data with others is left out, and the export says so; --internal is for files that stay
    with the people whom the consent to the recording names. People stand as numbers.
    """
    from semg.command_line.exporting import Request, export

    if everybody == bool(user_ids):
        raise click.UsageError("choose people: --userid N (may be repeated), or --all")
    request = Request(kind, user_ids, session_ids, out, internal=internal, with_video=video)
    with _ending(), _system() as (pool, settings), _progress(as_json) as progress:
        made = export(pool, settings, request, progress)
    if as_json:
        click.echo(json.dumps(made.as_dict(), ensure_ascii=False))
    else:
        _say(made.lines())
    if not made.sessions:
        sys.exit(EXIT_NOTHING)


@commands.command("import")
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--format", "kind", type=click.Choice(["auto", *get_args(InKind)]), default="auto", show_default=True)
@click.option("--userid", "user_id", type=click.IntRange(min=1), help="The profile whose recordings they are.")
@click.option("--study", is_flag=True, help="A profile for each person of the recordings, in place of --userid.")
@click.option("--consented", is_flag=True, help="With --study: these people agreed to being recorded, I say so.")
@click.option("--rate-hz", type=click.FloatRange(1, 1e5), help="Sampling rate, where the file does not say it.")
@click.option("--channels", help="Channels to take, separated by commas; all of one rate by default.")
@click.option("--sensor", type=click.Choice(["raw", "envelope"]), default="raw", help="Where the file does not say it.")
@click.option("--mains-hz", type=click.Choice(["50", "60", "0"]), default="50", help="Of a new profile.")
@click.option("--label", "labels", multiple=True, metavar="OLD=NEW", help="Another name for a label; empty: none.")
@click.option("--name", help="Name of the session; by default the file's.")
@click.option("--dry-run", is_flag=True, help="Only say what would be stored.")
@click.option("--yes", is_flag=True, help="Store without asking.")
@click.option(
    "--json", "as_json", is_flag=True, help="Say what was or would be stored as JSON; needs --yes or --dry-run."
)
def import_command(path: Path, kind: str, as_json: bool, dry_run: bool, yes: bool, **options: Any) -> None:
    """Read recordings of other tools, say what they would add, and store them once that is confirmed."""
    from semg.command_line.importing_files import Request, foresee, store_all

    if options["study"] == (options["user_id"] is not None):
        raise click.UsageError("say whose recordings they are: --userid N, or --study")
    if as_json and not (yes or dry_run):
        raise click.UsageError("--json asks nothing: add --yes or --dry-run")
    renamed = dict(_renamed(entry) for entry in options["labels"])
    channels = tuple(options["channels"].split(",")) if options["channels"] else None
    request = Request(
        path=path,
        kind=None if kind == "auto" else kind,  # type: ignore[arg-type]
        user_id=options["user_id"],
        consented=options["consented"],
        rate_hz=options["rate_hz"],
        channels=channels,
        sensor=options["sensor"],
        mains_hz=float(options["mains_hz"]),
        renamed=renamed,
        name=options["name"],
    )
    with _ending(), _system() as (pool, _):
        with _progress(as_json) as progress:
            plan = foresee(pool, request, progress)
        if not as_json:
            _say(plan.lines())
        stored: list[dict[str, Any]] = []
        confirmed = not dry_run and (yes or _confirmed())
        if confirmed:
            with _progress(as_json) as progress:
                stored = store_all(pool, request, plan, progress)
    if as_json:
        click.echo(json.dumps({**plan.as_dict(), "stored": stored}, ensure_ascii=False))
    elif confirmed:
        _say([f"Stored {len(stored)} sessions: {', '.join(str(one['session_id']) for one in stored)}."])
    else:
        _say(["Nothing was stored."])
    if not (confirmed or dry_run):
        sys.exit(EXIT_NOTHING)


def _renamed(entry: str) -> tuple[str, str]:
    at = entry.find("=", 1)  # a label may begin with it
    if at < 0:
        raise click.UsageError(f"--label expects OLD=NEW, got {entry!r}")
    return entry[:at], entry[at + 1 :]


def _confirmed() -> bool:
    if not sys.stdin.isatty():
        raise SemgError("nobody is there to confirm what would be stored: add --yes, or --dry-run to see it only")
    return click.confirm("Store this?", err=True)


def _say(lines: list[str]) -> None:
    for line in lines:
        click.echo(line)


@contextmanager
def _system() -> Iterator[tuple[Pool, Settings]]:
    """Return the database and the settings of this installation."""
    from semg.settings import get_settings
    from semg.store.pool import Pool

    settings = get_settings()
    pool = Pool(settings, size=2, name="semg")
    try:
        yield pool, settings
    finally:
        pool.close()


@contextmanager
def _progress(silent: bool) -> Iterator[Callable[[str], None]]:
    """Show what is being done in one line of stderr, where somebody looks at it."""
    shows = not silent and sys.stderr.isatty()

    def show(what: str) -> None:
        if shows:
            click.echo(f"\r\x1b[K{what[:100]}", err=True, nl=False)

    try:
        yield show
    finally:
        if shows:
            click.echo("\r\x1b[K", err=True, nl=False)


@contextmanager
def _ending() -> Iterator[None]:
    """End with a sentence and an exit code in place of a traceback."""
    try:
        yield
    except SemgError as exc:
        _fail(str(exc))
    except MemoryError:
        _fail("reading takes more memory than a recording may: split it, or take it in parts")
    except OSError as exc:
        _fail(f"{exc.filename or 'a file'}: {exc.strerror or exc}")


def _fail(sentence: str) -> NoReturn:
    click.echo(f"semg: {sentence}", err=True)
    sys.exit(EXIT_FAILED)


def main() -> NoReturn:
    """Run the command line of this process and end it."""
    arguments = sys.argv[1:]
    if arguments[:1] and arguments[0] in PLATFORM_COMMANDS:
        from semg.platform.__main__ import main as run_platform

        sys.exit(run_platform(arguments))
    try:
        commands.main(args=arguments, prog_name="semg", standalone_mode=True)
    except KeyboardInterrupt:
        sys.exit(EXIT_INTERRUPTED)
    raise AssertionError("a command of click ends the process")
