"""fd0 completion: what a shell needs to complete the arguments of fd0, made from the commands' own parsers."""

from . import arguments, programs
from .__main__ import COMMANDS

FILES = ("FILE", "DIR")
BASH = """# Completion of fd0(1) for bash; made by `fd0 completion bash`.
_fd0() {{
    local word=${{COMP_WORDS[COMP_CWORD]}} before=${{COMP_WORDS[COMP_CWORD-1]}} words
    COMPREPLY=()
    if [ "$COMP_CWORD" -eq 1 ]; then
        COMPREPLY=($(compgen -W "{commands}" -- "$word"))
        return
    fi
    # --with=x comes as three words
    if [ "$word" = "=" ]; then word=""; elif [ "$before" = "=" ]; then before=${{COMP_WORDS[COMP_CWORD-2]}}; fi
    case "${{COMP_WORDS[1]}} $before" in
{values}
    esac
    case "${{COMP_WORDS[1]}}" in
{words}
        *) words="" ;;
    esac
    COMPREPLY=($(compgen -W "$words" -- "$word"))
    case "${{COMPREPLY[0]}}" in *=) compopt -o nospace ;; esac
}}
complete -o default -F _fd0 fd0
"""
ZSH = """#compdef fd0
# Completion of fd0(1) for zsh; made by `fd0 completion zsh`.
_fd0() {{
    local -a commands
    commands=(
{commands}
    )
    if (( CURRENT == 2 )); then
        _describe command commands
        return
    fi
    local command=${{words[2]}}
    shift words
    (( CURRENT-- ))
    case $command in
{cases}
    esac
}}
_fd0 "$@"
"""
FISH = """# Completion of fd0(1) for fish; made by `fd0 completion fish`.
complete -c fd0 -f
"""


def main(given):
    """Print the completion for one shell."""
    parser = arguments.Parser("completion", "Print what a shell needs to complete fd0's arguments.", examples=(
        ("fd0 completion bash > /etc/bash_completion.d/fd0", "for everybody"),
        ("fd0 completion fish > ~/.config/fish/completions/fd0.fish", "for yourself")))
    parser.add_argument("shell", choices=SHELLS, help="which one")
    print(SHELLS[parser.parse(given).shell](dict(arguments.every())), end="")
    return 0


def _values(action):
    """What an argument may be, as words; None for a file, "" for anything."""
    if action.choices:
        return list(action.choices)
    if action.metavar == "PROGRAM":
        return [*programs.names(), *getattr(action, "also", ())]        # what a command takes beside programs
    return None if action.metavar in FILES else []


def _options(parser):
    """(name, action) of each option."""
    return [(name, action) for action in parser._actions for name in action.option_strings if name.startswith("--")]


def _operands(parser):
    """The words that may stand without an option's name."""
    return [word for action in parser._actions if not action.option_strings for word in _values(action) or ()]


def bash(parsers):
    """For bash: a function that looks at the command, then at the option before the cursor."""
    values, words = [], []
    for command, parser in parsers.items():
        for name, action in _options(parser):
            found = _values(action) if action.nargs != 0 else []
            if found:
                values.append((command, name, f'COMPREPLY=($(compgen -W "{" ".join(found)}" -- "$word"))'))
            elif found is None:
                values.append((command, name, 'compopt -o filenames; COMPREPLY=($(compgen -f -- "$word"))'))
        options = [name + "=" * (action.nargs != 0) for name, action in _options(parser)]
        words.append(f'        {command}) words="{" ".join([*_operands(parser), *options])}" ;;')
    lines = [f'        "{command} {name}") {does}; return ;;' for command, name, does in values]
    return BASH.format(commands=" ".join(COMMANDS), values="\n".join(lines), words="\n".join(words))


def zsh(parsers):
    """For zsh: _arguments with a specification of each option."""
    cases = []
    for command, parser in parsers.items():
        specs = []
        for name, action in _options(parser):
            about = _quoted((action.help or "") % {"default": action.default})
            value = "" if action.nargs == 0 else f":{(action.metavar or action.dest).lower()}:{_zsh_values(action)}"
            specs.append(f"'{'*' if action.nargs is None and isinstance(action.default, list) else ''}{name}"
                         f"{'=' if value else ''}[{about}]{value}'")
        specs += [f"'*:{(action.metavar or action.dest).lower()}:{_zsh_values(action)}'"
                  for action in parser._actions if not action.option_strings]
        cases.append(f"        {command}) _arguments {' '.join(specs)} ;;")
    commands = [f"        '{name}:{_quoted(about)}'" for name, about in COMMANDS.items()]
    return ZSH.format(commands="\n".join(commands), cases="\n".join(cases))


def _zsh_values(action):
    found = _values(action)
    return "_files" if found is None else f"({' '.join(found)})" if found else ""


def _quoted(text):
    """Safe within single quotes, brackets and before colons."""
    return text.replace("'", "").replace("[", "(").replace("]", ")").replace(":", "\\:").replace("`", "")


def fish(parsers):
    """For fish: a line for each command, option and operand."""
    lines = [f"complete -c fd0 -n __fish_use_subcommand -a {name} -d '{_plain(about)}'"
             for name, about in COMMANDS.items()]
    for command, parser in parsers.items():
        here = f"complete -c fd0 -n '__fish_seen_subcommand_from {command}'"
        for name, action in _options(parser):
            about = _plain((action.help or "") % {"default": action.default})
            lines.append(f"{here} -l {name[2:]}{_fish_value(action)} -d '{about}'")
        if words := _operands(parser):
            lines.append(f"{here} -a '{' '.join(words)}'")
        if any(_values(action) is None for action in parser._actions if not action.option_strings):
            lines.append(f"{here} -F")
    return FISH + "\n".join(lines) + "\n"


def _fish_value(action):
    found = _values(action)
    if action.nargs == 0:
        return ""
    return " -rF" if found is None else f" -xa '{' '.join(found)}'" if found else " -x"


def _plain(text):
    return text.replace("\\", "").replace("'", "")


SHELLS = {"bash": bash, "zsh": zsh, "fish": fish}
