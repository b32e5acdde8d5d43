# SPDX-License-Identifier: GPL-3.0-or-later
# The function esyd gives commands to the sandbox that this shell runs in. Read it with
#
#     . /dev/syd.sh            or            eval "$(madcap --sh)"
#
# A command is a test for a file below /dev/syd; its status says what became of the command.
# shellcheck shell=sh

esyd() {
    if [ $# -eq 0 ]; then
        set -- help
    fi
    _esyd_word="$1"
    shift
    case "$_esyd_word" in
    help | -h | --help)
        _esyd_help
        ;;
    api)
        _esyd_count 0 $# && {
            if [ -c /dev/syd/3 ]; then
                printf 3
            elif [ -c /dev/syd/1 ]; then
                printf 1
            else
                return 1
            fi
        }
        ;;
    check)
        _esyd_count 0 $# && [ -c /dev/syd ]
        ;;
    ghost | panic | stat)
        _esyd_count 0 $# && [ -c "/dev/syd/$_esyd_word" ]
        ;;
    load)
        _esyd_count 1 $# && [ -c "/dev/syd/load/$1" ]
        ;;
    lock)
        _esyd_count 0 $# && [ -c /dev/syd/lock:on ]
        ;;
    unlock)
        _esyd_count 0 $# && [ -c /dev/syd/lock:off ]
        ;;
    exec_lock | drop_lock | read_lock)
        _esyd_count 0 $# && [ -c "/dev/syd/lock:${_esyd_word%_lock}" ]
        ;;
    info)
        if command -v jq >/dev/null 2>&1; then
            _esyd_state | jq "$@"
        else
            _esyd_state
        fi
        ;;
    have_force)
        _esyd_count 0 $# && case "$(_esyd_state)" in
        *'"have_force": true'*) return 0 ;;
        *) return 1 ;;
        esac
        ;;
    landlock_abi)
        _esyd_count 0 $# && _esyd_state | sed -n 's/.*"landlock_abi": \([0-9]*\).*/\1/p'
        ;;
    mem_max | pid_max | pipe_max | xattr_max)
        _esyd_count 1 $# && [ -c "/dev/syd/${_esyd_word%_max}/max:$1" ]
        ;;
    vm_max)
        _esyd_count 1 $# && [ -c "/dev/syd/mem/vm_max:$1" ]
        ;;
    segvguard_expiry | segvguard_suspension | segvguard_maxcrashes)
        _esyd_count 1 $# && [ -c "/dev/syd/segvguard/${_esyd_word#segvguard_}:$1" ]
        ;;
    exec)
        _esyd_least 1 $# && (
            IFS=$(printf '\037')
            [ -c "/dev/syd/cmd/exec!$*" ]
        )
        ;;
    kill)
        _esyd_least 1 $# && _esyd_each kill/exec + "$@"
        ;;
    force | force_add)
        _esyd_count 4 $# && _esyd_path "$1" && [ -c "/dev/syd/force+$1:$2:$3:$4" ]
        ;;
    force_del)
        _esyd_count 1 $# && _esyd_path "$1" && [ -c "/dev/syd/force-$1" ]
        ;;
    force_clr)
        _esyd_count 0 $# && [ -c '/dev/syd/force^' ]
        ;;
    ioctl_deny)
        _esyd_count 1 $# && [ -c "/dev/syd/deny/ioctl+$1" ]
        ;;
    enabled)
        _esyd_count 0 $# && [ -c '/dev/syd/sandbox/all?' ]
        ;;
    enable)
        _esyd_count 0 $# && [ -c /dev/syd/sandbox/all:on ]
        ;;
    disable)
        _esyd_count 0 $# && [ -c /dev/syd/sandbox/all:off ]
        ;;
    enabled_* | enable_* | disable_*)
        _esyd_switch "${_esyd_word%%_*}" "${_esyd_word#*_}" $#
        ;;
    allow | deny | addfilter | disallow | nodeny | rmfilter)
        _esyd_rule "$_esyd_word" path "$@"
        ;;
    allow_* | deny_* | addfilter_* | disallow_* | nodeny_* | rmfilter_*)
        _esyd_rule "${_esyd_word%%_*}" "${_esyd_word#*_}" "$@"
        ;;
    default_*)
        _esyd_count 1 $# && case "${_esyd_word#default_}" in
        net_bind | net_connect) [ -c "/dev/syd/default/net/${_esyd_word#default_net_}:$1" ] ;;
        *) [ -c "/dev/syd/default/${_esyd_word#default_}:$1" ] ;;
        esac
        ;;
    *_add)
        _esyd_list "${_esyd_word%_add}" + "$@"
        ;;
    *_del)
        _esyd_list "${_esyd_word%_del}" - "$@"
        ;;
    *_rem)
        _esyd_list "${_esyd_word%_rem}" ^ "$@"
        ;;
    test)
        _esyd_test
        ;;
    *)
        echo >&2 "esyd: no subcommand $_esyd_word; see esyd help"
        return 1
        ;;
    esac
}

_esyd_help() {
    cat <<'HELP'
esyd: commands to the sandbox this shell runs in

  api, check                         version of the interface; is there a sandbox
  info [jq-args], stat               its state as JSON; on its standard error
  have_force, landlock_abi           what it can do
  lock, unlock, exec_lock, drop_lock, read_lock
  load FD|PROFILE, ghost, panic
  exec PROGRAM [ARG...]              run a program outside of the sandbox
  enabled[_CAP], enable[_CAP], disable[_CAP]
  default_CAP ACTION
  allow[_CAP], deny[_CAP], addfilter[_CAP] PATTERN...
  disallow[_CAP], nodeny[_CAP], rmfilter[_CAP] [--all] PATTERN...
        CAP net: [--connect] before the pattern
  CAP_add, CAP_del, CAP_rem ACTION PATTERN...
  kill PATTERN..., ioctl_deny REQUEST
  force PATH ALGORITHM HEX ACTION, force_del PATH, force_clr
  mem_max, vm_max, pid_max, pipe_max, xattr_max NUMBER
  segvguard_expiry, segvguard_suspension, segvguard_maxcrashes NUMBER
  test                               try the interface, in TAP
HELP
}

# Require exactly, and at least, $1 arguments, where there are $2.
_esyd_count() {
    [ "$1" -eq "$2" ] && return 0
    echo >&2 "esyd: $_esyd_word takes $1 arguments"
    return 1
}

_esyd_least() {
    [ "$1" -le "$2" ] && return 0
    echo >&2 "esyd: $_esyd_word takes $1 arguments or more"
    return 1
}

_esyd_path() {
    case "$1" in
    /*) return 0 ;;
    esac
    echo >&2 "esyd_path: expects absolute path, got: $1"
    return 1
}

# Print the state on one line.
_esyd_state() {
    tr -d '\n' </dev/syd
}

# Give the command $1 with the operator $2 for each of the other arguments.
_esyd_each() {
    _esyd_head="$1$2"
    shift 2
    for _esyd_item; do
        case "$_esyd_head" in
        */fs? | */ioctl? | */net/*) ;;
        *) _esyd_path "$_esyd_item" || return 1 ;;
        esac
        [ -c "/dev/syd/$_esyd_head$_esyd_item" ] || return 1
    done
}

# The categories that rules of paths exist for.
_esyd_rules=' fs walk list stat read write exec ioctl create delete rename readlink symlink truncate
 chdir readdir mkdir rmdir chown chgrp chmod chattr chroot notify utime mkbdev mkcdev mkfifo mktemp
 net sendfd recvfd '
_esyd_rules=$(printf '%s' "$_esyd_rules" | tr -s '\n' ' ')

# Ask about, switch on or switch off ($1) the category $2.
_esyd_switch() {
    case "$1/$2" in
    enabled/lock | enabled/proxy | enabled/mem | enabled/force) ;;
    disable/mem | disable/force) ;;
    */pid | */tpe) ;;
    */path) set -- "$1" all "$3" ;;
    *)
        case "$_esyd_rules" in
        *" $2 "*) ;;
        *)
            echo >&2 "esyd: no subcommand $_esyd_word; see esyd help"
            return 1
            ;;
        esac
        ;;
    esac
    _esyd_count 0 "$3" && case "$1" in
    enabled) [ -c "/dev/syd/sandbox/$2?" ] ;;
    enable) [ -c "/dev/syd/sandbox/$2:on" ] ;;
    *) [ -c "/dev/syd/sandbox/$2:off" ] ;;
    esac
}

# Add or remove ($1) rules for the category $2.
_esyd_rule() {
    _esyd_verb="$1"
    _esyd_cap="$2"
    shift 2
    _esyd_op=-
    case "$_esyd_verb" in
    allow | deny) _esyd_act="$_esyd_verb" _esyd_op=+ ;;
    addfilter) _esyd_act=filter _esyd_op=+ ;;
    disallow) _esyd_act=allow ;;
    nodeny) _esyd_act=deny ;;
    *) _esyd_act=filter ;;
    esac
    case "$_esyd_cap" in
    path | all) _esyd_cap=all ;;
    *)
        case "$_esyd_rules" in
        *" $_esyd_cap "*) ;;
        *)
            echo >&2 "esyd: no subcommand $_esyd_word; see esyd help"
            return 1
            ;;
        esac
        ;;
    esac
    if [ "$_esyd_op" = - ] && [ "${1:-}" = --all ]; then
        _esyd_op=^
        shift
    fi
    if [ "$_esyd_cap" = net ]; then
        _esyd_cap=net/bind
        if [ "${1:-}" = --connect ]; then
            _esyd_cap=net/connect
            shift
        fi
    fi
    _esyd_least 1 $# && _esyd_each "$_esyd_act/$_esyd_cap" "$_esyd_op" "$@"
}

# Change the rules of the category $1 by the operator $2: an action and patterns follow.
_esyd_list() {
    _esyd_cap="$1"
    _esyd_op="$2"
    shift 2
    _esyd_least 2 $# || return 1
    _esyd_act="$1"
    shift
    case "$_esyd_cap" in
    net_bind | net_connect | net_link) _esyd_cap="net/${_esyd_cap#net_}" ;;
    *)
        case "$_esyd_rules" in
        *" $_esyd_cap "*) ;;
        *)
            echo >&2 "esyd: no subcommand $_esyd_word; see esyd help"
            return 1
            ;;
        esac
        ;;
    esac
    _esyd_each "$_esyd_act/$_esyd_cap" "$_esyd_op" "$@"
}

# Try the interface and report in the Test Anything Protocol. It changes the sandbox, and locks it.
_esyd_test() {
    echo 'TAP version 13'
    echo '1..19'
    _esyd_number=0
    _esyd_failed=0
    _esyd_case rule_helper '! esyd allow_read relative 2>/dev/null'
    _esyd_case api 'test "$(esyd api)" = 3'
    _esyd_case query 'esyd enabled_read || ! esyd enabled_read'
    _esyd_case info 'esyd info >/dev/null'
    _esyd_case feature_probes 'test -n "$(esyd landlock_abi)"'
    _esyd_case stat_validation '! test -c /dev/syd/nope'
    _esyd_case toggle 'esyd enable_read && esyd enabled_read && esyd disable_read && ! esyd enabled_read'
    _esyd_case default 'esyd default_read deny && ! esyd default_read nope'
    _esyd_case rules 'esyd allow_read /x && esyd disallow_read /x && esyd deny_read /y && esyd nodeny_read --all /y'
    _esyd_case net_rules 'esyd net_connect_add allow 127.0.0.1!1 && esyd net_connect_rem allow 127.0.0.1!1'
    _esyd_case force_rule '! esyd have_force || esyd force_clr'
    _esyd_case force_startup '! esyd enable_force 2>/dev/null'
    _esyd_case ioctl 'esyd ioctl_deny 0xdead'
    _esyd_case segvguard 'esyd segvguard_maxcrashes 5'
    _esyd_case limits 'esyd pipe_max 4096'
    _esyd_case startup_only '! test -c /dev/syd/unshare/net:on'
    _esyd_case load '! esyd load nope'
    _esyd_case exec 'esyd exec /bin/true'
    _esyd_case lock 'esyd lock && ! esyd check'
    return "$_esyd_failed"
}

_esyd_case() {
    _esyd_number=$((_esyd_number + 1))
    if eval "$2"; then
        echo "ok $_esyd_number - esyd-$1"
    else
        echo "not ok $_esyd_number - esyd-$1"
        _esyd_failed=1
    fi
}
