"""What an experiment is: one registered spec, from which everything else about it follows.

Its command and its options, its place in `reproduce`, how its shards are merged, how its texts
are judged again and how its records are read back: all of it is asked of the spec. A module of
`study.experiments` registers its own; a section of the report is registered by `study.report`
under the name of the experiment.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache
from importlib.metadata import entry_points
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Generic, TypeVar, get_type_hints

from pydantic import TypeAdapter, ValidationError

from gazeheads.errors import one_line
from gazeheads.study import schema
from gazeheads.study.disk import SETTINGS
from gazeheads.study.identity import versions
from gazeheads.study.modules import import_all
from gazeheads.study.runs import RunError, RunFolder, RunOptions

if TYPE_CHECKING:
    from gazeheads.data.strip import Strip
    from gazeheads.judges import Judge
    from gazeheads.judges.verdict import Asked
    from gazeheads.study.context import ExperimentContext

_MODULES = "gazeheads.study.experiments"
PLUGINS = "gazeheads.experiments"
"""Group of the entry points by which other packages bring experiments."""
Item = TypeVar("Item")
Values = dict[str, Any]
"""A record, or a summary, as JSON values."""


@dataclass(frozen=True)
class Work(Generic[Item]):
    """Units of work of a run, and how they are done.

    Attributes:
        units: names and what is done.
        do: gives one record per item.
        at_once: how many items `do` gets.
        shared: every shard does all of these units, because its other work needs them.
    """

    units: Sequence[tuple[str, Item]]
    do: Callable[[Sequence[Item]], Sequence[Mapping[str, Any]]]
    at_once: int = 1
    shared: bool = False


@dataclass(frozen=True)
class Option:
    """Says in `Annotated[...]` that a user can set a field of a command's options.

    Attributes:
        help: one line.
        name: on the command line, "--like-this"; None: that of the field.
        least: the smallest number allowed.
        argument: words after the command instead of an option.
    """

    help: str
    name: str | None = None
    least: int | None = None
    argument: bool = False


@dataclass(frozen=True)
class NoOptions:
    """Options of a command that has none of its own."""


@dataclass(frozen=True)
class Command:
    """How an experiment, or several that belong together, is asked for on the command line.

    Attributes:
        name: of the command.
        help: one line.
        run: carries it out with an instance of `options`.
        options: a frozen dataclass; a user can set its fields with an `Option`, others are for
            `reproduce` alone. What is wrong in them is raised when it is made: before a model is
            loaded.
        judges: whether a judge may be chosen.
        draws_strips: it draws strips of its own, so that none may be given.
        place: order among the commands, and in `reproduce`.
        full, quick: what `reproduce` runs, and what it runs with --quick, one after the other;
            nothing if it is left out there.
    """

    name: str
    help: str
    run: Callable[[ExperimentContext, Any], list[RunFolder]]
    options: type[Any] = NoOptions
    judges: bool = True
    draws_strips: bool = False
    place: int = 1000
    full: tuple[Any, ...] = ()
    quick: tuple[Any, ...] = ()


@dataclass(frozen=True)
class Rejudging:
    """How the texts of an experiment's records are judged again.

    Attributes:
        texts: of a record that a judge is asked about; segments of one text together.
        judged: the fields of a record that a judge changes; also given the run's settings.
        results: what of a summary changes, from the results before and the new records.
        panels: the panel of every text or step of a record, to compare two judges.
        strip_of: name of the strip that a record is about.
    """

    texts: Callable[[Values], list[Asked]]
    judged: Callable[[Values, Strip, Judge, Mapping[str, Any]], Values]
    results: Callable[[Values, Sequence[Values]], Values]
    panels: Callable[[Values], list[int | None]]
    strip_of: Callable[[Values], str] = lambda record: str(record["unit"])


@dataclass(frozen=True)
class Experiment:
    """One experiment of the study.

    Attributes:
        name: of its run folders.
        title: what it measures, in a line.
        settings: the dataclass of what can be set; a run keeps its fields among its settings.
        summarise: the results of a finished run, from its settings and records alone.
        record: the type of its records.
        command: how it is asked for; None: along with another experiment, or by hand.
        published: the study's own figures, of another model.
        shards: whether it can be split among machines and merged.
        rejudging: how its texts are judged again; None: it has none.
    """

    name: str
    title: str
    settings: type[Any]
    summarise: Callable[[RunFolder], Mapping[str, Any]]
    record: type[schema.Record]
    command: Command | None = None
    published: Mapping[str, Any] = field(default_factory=dict)
    shards: bool = True
    rejudging: Rejudging | None = None

    def settings_of(self, run: RunFolder) -> Any:
        """What was set for a run, as an instance of `settings`.

        Raises:
            RunError: its `settings.json` does not hold that.
        """
        known = {each.name for each in fields(self.settings)}
        own = {name: value for name, value in run.settings.items() if name in known}
        try:
            return TypeAdapter(self.settings).validate_python(own)
        except ValidationError as error:
            told = schema.in_a_line(error)
            raise RunError(f"{run.path / SETTINGS} is damaged: settings.{told}") from error

    def carry_out(
        self,
        model: str,
        settings: Mapping[str, Any],
        options: RunOptions,
        work: Callable[[RunFolder], Iterable[Work[Any]]],
    ) -> RunFolder:
        """Does the work of a run, and goes on where an earlier attempt stopped.

        Args:
            model: name of the model.
            settings: everything the records depend on, as JSON values.
            options: where to and how.
            work: from the opened folder what is to be done; may be a generator, so that later
                work can build on the records of earlier work.

        Raises:
            RunError: see `RunFolder.open`.
        """
        with RunFolder.open(options, self.name, model, settings, versions()) as folder:
            for part in work(folder):
                folder.work(part.units, part.do, options.progress, part.at_once, part.shared)
            folder.finish(self.summarise)
        return folder


_REGISTERED: dict[str, Experiment] = {}


def register(experiment: Experiment) -> Experiment:
    """Makes an experiment known under its name; returns it.

    Raises:
        RunError: another one has that name.
    """
    if experiment.name in _REGISTERED:
        raise RunError(f"there are two experiments called {experiment.name!r}")
    _REGISTERED[experiment.name] = experiment
    schema.declare(experiment.name, experiment.record)
    return experiment


def registry() -> Mapping[str, Experiment]:
    """Every experiment by name: of `study.experiments`, of installed packages, of `--with` files.

    An installed package names a module that registers its own as an entry point of `PLUGINS`.
    """
    import_all(_MODULES)
    _import_installed()
    return MappingProxyType(_REGISTERED)


@cache
def _import_installed() -> None:
    for plugin in entry_points(group=PLUGINS):
        try:
            plugin.load()
        except Exception as error:
            raise RunError(
                f"the experiments of {plugin.value} cannot be read ({one_line(error)}): update "
                "or uninstall the package that brings them"
            ) from error


def experiment_named(name: str) -> Experiment:
    """The experiment of a name.

    Raises:
        RunError: there is none.
    """
    known = registry()
    if name not in known:
        raise RunError(f"no experiment {name!r}: there are {', '.join(sorted(known))}")
    return known[name]


def commands() -> list[Command]:
    """The commands of all experiments, each once, in their order."""
    found = {e.command.name: e.command for e in registry().values() if e.command is not None}
    return sorted(found.values(), key=lambda command: (command.place, command.name))


def settable(options: type[Any]) -> dict[str, tuple[Any, Option]]:
    """The fields of a command's options that a user can set: type and option by name."""
    found = {}
    for name, hint in get_type_hints(options, include_extras=True).items():
        for told in getattr(hint, "__metadata__", ()):
            if isinstance(told, Option):
                found[name] = (hint.__origin__, told)
    return found
