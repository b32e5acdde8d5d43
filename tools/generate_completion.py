#!/usr/bin/env python3
# SPDX-License-Identifier: GPL-3.0-or-later
"""Write the shells' completion of madcap and its side tools, from their tables of options.

usage: tools/generate_completion.py [DIRECTORY]

DIRECTORY is `completion` of the project unless given. A test makes them again and compares.
"""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "src"))

from madcap.cli.usage import MADCAP, Option  # noqa: E402
from madcap.explain import check, why  # noqa: E402
from madcap.policy import actions, categories, profile  # noqa: E402
from madcap.policy.parser import FAMILIES  # noqa: E402
from madcap.policy.trace import NAMES as SWITCHES  # noqa: E402

PROFILES = sorted(profile.NAMES)
CAPABILITIES = sorted({*categories.MASKS, "fs", "ioctl"})
RULES = [name for name, mask in categories.MASKS.items() if not mask & ~categories.RULES]
# How commands begin; what follows is the user's.
COMMANDS = sorted(
    {
        *(f"{action}/{name}+" for action in ("allow", "deny") for name in RULES),
        *(f"{action}/" for action in actions.NAMES),
        *(f"sandbox/{name}:" for name in categories.MASKS),
        *(f"default/{name}:" for name in categories.MASKS),
        *(f"trace/{name}:" for name in SWITCHES),
        *(family for family in FAMILIES if family not in ("sandbox", "default", "trace")),
    }
)


class Program(NamedTuple):
    """A program: its options, and what its operands are, as the templates below know them."""

    name: str
    options: tuple[Option, ...]
    operands: str


PROGRAMS = (
    Program("madcap", MADCAP, "command"),
    Program("madcap-check", check.OPTIONS, "rules"),
    Program("madcap-why", why.OPTIONS, "question"),
)
HEAD = "Completion of {} for {}; made by tools/generate_completion.py."


def values_of(option: Option) -> list[str] | None:
    """Return the words that the value of *option* may be, or begin with, where they are known."""
    if option.letter == "p":
        return PROFILES
    if option.letter == "m":
        return COMMANDS
    if option.value and "|" in option.value:
        return option.value.split("|")
    return None


def bash(program: Program) -> str:
    """Return the completion for bash."""
    function = "_" + program.name.replace("-", "_")
    words = " ".join(form for option in program.options for form in option.forms)
    taking = "|".join(form for option in program.options if option.value for form in option.forms)
    lines = [
        f"# {HEAD.format(program.name, 'bash')}",
        f"{function}() {{",
        "    local cur=${COMP_WORDS[COMP_CWORD]} prev=${COMP_WORDS[COMP_CWORD - 1]} at=1",
        "    case $prev in",
    ]
    for option in program.options:
        if option.value is None:
            continue
        lines.append(f"    {'|'.join(option.forms)})")
        known = values_of(option)
        if known is not None:
            lines.append(f"        COMPREPLY=($(compgen -W '{' '.join(known)}' -- \"$cur\"))")
            if option.letter == "m":
                lines.append("        compopt -o nospace 2>/dev/null")
        elif option.value == "FILE":
            pattern = " -X '!*.syd-3'" if option.letter == "P" else ""
            lines.append(f'        COMPREPLY=($(compgen -f{pattern} -- "$cur")')
            lines.append('            $(compgen -d -S / -- "$cur"))')
        else:
            lines.append("        COMPREPLY=()")
        lines += ["        return", "        ;;"]
    lines += [
        "    esac",
        "    # The first word that is neither an option nor the value of one.",
        "    while ((at < COMP_CWORD)); do",
        "        case ${COMP_WORDS[at]} in",
        "        --) ((at++)) && break ;;",
        f"        {taking}) ((at += 2)) ;;",
        "        -?*) ((at++)) ;;",
        "        *) break ;;",
        "        esac",
        "    done",
        "    if [[ $cur == -* ]] && ((at >= COMP_CWORD)) && [[ $prev != -- ]]; then",
        f"        COMPREPLY=($(compgen -W '{words}' -- \"$cur\"))",
        "        return",
        "    fi",
    ]
    files = 'COMPREPLY=($(compgen -f -- "$cur"))'
    if program.operands == "command":
        lines += [
            "    if ((at < COMP_CWORD)); then",
            "        if declare -F _command_offset >/dev/null; then",
            '            _command_offset "$at"',
            "        else",
            f"            {files}",
            "        fi",
            "        return",
            "    fi",
            '    COMPREPLY=($(compgen -c -- "$cur"))',
        ]
    elif program.operands == "rules":
        lines.append("    COMPREPLY=($(compgen -f -X '!*.syd-3' -- \"$cur\")")
        lines.append('        $(compgen -d -S / -- "$cur"))')
    else:
        lines += [
            "    if ((at < COMP_CWORD)); then",
            f"        {files}",
            "    else",
            f"        COMPREPLY=($(compgen -W '{' '.join(CAPABILITIES)}' -- \"$cur\"))",
            "    fi",
        ]
    lines += ["}", f"complete -o filenames -F {function} {program.name}"]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """Return *text* as part of a single-quoted word of zsh, where brackets and colons are marks."""
    return text.replace("'", "'\\''").replace("[", "\\[").replace("]", "\\]").replace(":", "\\:")


def zsh(program: Program) -> str:
    """Return the completion for zsh."""
    lines = [f"#compdef {program.name}", f"# {HEAD.format(program.name, 'zsh')}", ""]
    words = " ".join([f"'{word}'" for word in COMMANDS])
    lines += ["local -a commands", f"commands=({words})", ""]
    lines.append("_arguments -s -S \\")
    for option in program.options:
        action = ""
        if option.value is not None:
            known = values_of(option)
            if option.letter == "m":
                action = ":command:compadd -S '' -a commands"
                action = action.replace("'", "'\\''")
            elif known is not None:
                action = f":{option.value.lower().replace('|', ' or ')}:({' '.join(known)})"
            elif option.value == "FILE":
                action = ":file:_files" + (' -g "*.syd-3"' if option.letter == "P" else "")
            else:
                action = f":{_quoted(option.value.lower())}: "
        many = "*" if option.letter in ("m", "p", "P", "e", "v") else ""
        for form in option.forms:
            mark = ("+" if len(form) == 2 else "=") if option.value is not None else ""
            lines.append(f"    '{many}{form}{mark}[{_quoted(option.text)}]{action}' \\")
    if program.operands == "command":
        lines += ["    '(-)1:command: _command_names -e' \\", "    '*::arguments:_normal'"]
    elif program.operands == "rules":
        lines.append("    '*:rules file:_files -g \"*.syd-3\"'")
    else:
        lines.append(f"    '1:capability:({' '.join(CAPABILITIES)})' \\")
        lines.append("    '2:target:_files'")
    return "\n".join(lines) + "\n"


def fish(program: Program) -> str:
    """Return the completion for fish."""
    lines = [f"# {HEAD.format(program.name, 'fish')}"]
    if program.operands == "question":
        lines.append(f"complete -c {program.name} -f")
    for option in program.options:
        words = [f"complete -c {program.name}"]
        if option.letter:
            words.append(f"-s {option.letter}")
        if option.word:
            words.append(f"-l {option.word}")
        if option.value is not None:
            known = values_of(option)
            if option.value == "FILE":
                words.append("-r -F")
            elif known is None:
                words.append("-x")
            else:
                words.append(f"-x -a '{' '.join(known)}'")
        text = option.text.replace("\\", "\\\\").replace("'", "\\'")
        words.append(f"-d '{text}'")
        lines.append(" ".join(words))
    if program.operands == "command":
        lines.append(f"complete -c {program.name} -a '(__fish_complete_command)'")
    elif program.operands == "rules":
        lines.append(f"complete -c {program.name} -f -a '(__fish_complete_suffix .syd-3)'")
    else:
        lines.append(f"complete -c {program.name} -a '{' '.join(CAPABILITIES)}'")
        lines.append(f"complete -c {program.name} -a '(__fish_complete_path)'")
    return "\n".join(lines) + "\n"


def files() -> dict[str, str]:
    """Return the text of each file by its path below the directory."""
    found = {}
    for program in PROGRAMS:
        found[f"bash/{program.name}"] = bash(program)
        found[f"zsh/_{program.name}"] = zsh(program)
        found[f"fish/{program.name}.fish"] = fish(program)
    return found


def main() -> None:
    """Write the files."""
    top = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "completion"
    for name, text in files().items():
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)


if __name__ == "__main__":
    main()
