# SPDX-License-Identifier: GPL-3.0-or-later
"""Programs that talk over sockets work inside as outside: same output, same status, nothing logged.

Each is started, asked and stopped by one script, natively and inside, as an ordinary user.
"""

from __future__ import annotations

import glob
import socket
import textwrap
from typing import TYPE_CHECKING

import pytest

from tests.conftest import need
from tests.support import host
from tests.support.guest import Guest, Pair

if TYPE_CHECKING:
    from collections.abc import Iterator

PROFILE = "network.syd-3"
#: Shell functions: wait until a command succeeds; end a server and say how it ended.
PRELUDE = """
until_ok() { for _ in $(seq 200); do "$@" >/dev/null 2>&1 && return; sleep 0.05; done; return 1; }
end() { kill "-$1" "$2"; local status=0; wait "$2" || status=$?; echo "ended with $status"; }
"""


@pytest.fixture
def pair(installation: host.Installation, target: str) -> Iterator[Pair]:
    """Compare a native run with one inside, as an ordinary user: some servers refuse root."""
    native = Guest("native", host.ordinary_user(), installation, target)
    yield Pair(native)
    native.close()


def free_port() -> str:
    """Return a port of the loopback address that nobody listens at."""
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return str(taken.getsockname()[1])


def same(pair: Pair, script: str, programs: str = "") -> None:
    """Run *script* both ways, with a free $PORT; *programs* is a directory for $PROGRAMS."""
    environment = {"HOME": "$WORK", "PORT": free_port(), "PROGRAMS": programs}
    text = PRELUDE + textwrap.dedent(script)
    pair.same(text, profile=PROFILE, environment=environment, timeout=100)


def test_curl_talks_to_servers(pair: Pair) -> None:
    need("curl")
    same(
        pair,
        """
        head -c 300000 /dev/zero | tr '\\0' a > large
        echo small > small
        python3 -m http.server -b 127.0.0.1 "$PORT" >/dev/null 2>&1 & server=$!
        url="http://127.0.0.1:$PORT"
        until_ok curl -sf "$url/small"
        curl -s "$url/small"
        curl -s "$url/large" | sha256sum
        curl -s -o out -w '%{http_code} %{size_download} %{remote_ip}\\n' "http://localhost:$PORT/no"
        curl -s "$url/small" "$url/small" "$url/small"
        curl -s --interface 127.0.0.1 "$url/small"
        curl -s -m 5 http://127.0.0.1:1/ || echo "curl: $?"
        curl -s -m 5 http://nowhere.invalid/ || echo "curl: $?"
        curl -s --unix-socket "$WORK/absent" http://x/ || echo "curl: $?"
        end TERM $server
        """,
    )


GIT = """
export GIT_AUTHOR_DATE=2001-02-03T04:05:06Z GIT_COMMITTER_DATE=2001-02-03T04:05:06Z
git config --global user.name a; git config --global user.email a@example.org
git config --global safe.directory '*'
git init -q -b main repo; cd repo
for i in $(seq 30); do echo "line $i" > "f$i"; done
git add .; git commit -qm first; cd ..
"""


def test_git_clones_over_http(pair: Pair) -> None:
    need("git", "curl")
    same(
        pair,
        GIT
        + """
        git clone -q --bare repo bare.git 2>/dev/null
        git -C bare.git update-server-info
        (cd bare.git; exec python3 -m http.server -b 127.0.0.1 "$PORT" >/dev/null 2>&1) & server=$!
        until_ok curl -sf "http://127.0.0.1:$PORT/HEAD"
        git clone -q "http://127.0.0.1:$PORT/" copy
        git -C copy log --format='%H %s'
        git -C copy fsck
        ls copy | wc -l
        end TERM $server
        """,
    )


def test_git_and_the_agent_work_over_ssh(pair: Pair) -> None:
    need("git", "ssh", "ssh-agent", "ssh-keygen", "sshd")
    same(
        pair,
        GIT
        + """
        mkdir -m 700 ssh
        ssh-keygen -q -t ed25519 -N '' -f ssh/host
        ssh-keygen -q -t ed25519 -N '' -C key -f ssh/id
        cp ssh/id.pub ssh/authorized
        printf '%s\\n' "Port $PORT" 'ListenAddress 127.0.0.1' "HostKey $WORK/ssh/host" \\
            "AuthorizedKeysFile $WORK/ssh/authorized" 'PidFile none' 'UsePAM no' 'StrictModes no' \\
            'PrintMotd no' 'PrintLastLog no' 'AcceptEnv GIT_PROTOCOL' > ssh/config
        ssh-agent -D -a "$WORK/ssh/agent" >/dev/null & agent=$!
        export SSH_AUTH_SOCK="$WORK/ssh/agent"
        until_ok test -S "$SSH_AUTH_SOCK"
        ssh-add -q ssh/id
        ssh-add -l | cut -d' ' -f1,3,4
        rm ssh/id
        "$(command -v sshd)" -D -f "$WORK/ssh/config" -E "$WORK/ssh/log" & server=$!
        options="-F none -p $PORT -o StrictHostKeyChecking=no -o LogLevel=ERROR"
        options="$options -o UserKnownHostsFile=$WORK/ssh/known"
        until_ok grep -q listening ssh/log
        ssh $options 127.0.0.1 'echo over ssh; cat; exit 3' <<< 'and back' || echo "status $?"
        ssh $options 127.0.0.1 'head -c 1000000 /dev/zero' | wc -c
        GIT_SSH_COMMAND="ssh $options" git clone -q "ssh://127.0.0.1$WORK/repo" copy
        git -C copy log --format='%H %s'
        cd copy; echo more > more; git add more; git commit -qm second
        GIT_SSH_COMMAND="ssh $options" git push -q origin main:topic
        cd ..; git -C repo log --format='%H %s' topic
        ssh-add -q -D; ssh-add -l || echo "no keys: $?"
        end TERM $server
        end TERM $agent
        """,
    )


def test_redis_serves_over_tcp_and_unix_sockets(pair: Pair) -> None:
    need("redis-server", "redis-cli", "redis-benchmark")
    same(
        pair,
        """
        redis-server --port "$PORT" --unixsocket "$WORK/sock" --save '' --dir "$WORK" \\
            --logfile "$WORK/log" & server=$!
        until_ok redis-cli -p "$PORT" ping
        redis-cli -p "$PORT" set key value
        redis-cli -s sock get key
        seq 2000 | sed 's/.*/SET key:& value:&/' | redis-cli -s sock --pipe | grep replies
        redis-cli -p "$PORT" dbsize
        redis-benchmark -p "$PORT" -t set,get,lpush -n 3000 -c 30 --csv | cut -d, -f1
        redis-benchmark -s sock -t set,get -n 3000 -c 30 -P 8 --csv | cut -d, -f1
        redis-cli -p "$PORT" client list | grep -c addr=127.0.0.1
        redis-cli -s sock client list | grep -c "laddr=$WORK/sock:0"
        redis-cli -s sock bgsave
        until_ok test -e dump.rdb
        redis-cli -p "$PORT" shutdown nosave || true
        wait $server; echo "ended with $?"
        """,
    )


def test_postgresql_keeps_a_database(pair: Pair) -> None:
    found = sorted(glob.glob("/usr/lib/postgresql/*/bin"))
    if not found:
        pytest.skip("needs postgresql")
    same(
        pair,
        """
        export PATH=$PROGRAMS:$PATH
        export PGPORT=$PORT PGDATABASE=postgres
        initdb -D data -A trust --no-sync --no-locale -E UTF8 > log 2>&1
        postgres -D data -k "$WORK" -c fsync=off > log 2>&1 & server=$!
        until_ok pg_isready -h 127.0.0.1
        psql -h 127.0.0.1 -Atc 'select 6 * 7'
        psql -h "$WORK" -Atc 'create table t as select generate_series(1, 1000) as n'
        psql -h 127.0.0.1 -Atc 'select sum(n) from t'
        psql -h "$WORK" -Atc 'select pg_sleep(9)' & sleeper=$!
        waiting="select count(*) from pg_stat_activity where query like 'select pg_sleep(9)'"
        until_ok sh -c "psql -h 127.0.0.1 -Atc \\"$waiting\\" | grep -q 1"
        kill -INT $sleeper; wait $sleeper 2>/dev/null || echo "cancelled: $?"
        pgbench -i -q -h "$WORK" > log2 2>&1
        pgbench -h 127.0.0.1 -c 4 -j 2 -t 50 2>/dev/null | grep processed
        pgbench -h "$WORK" -c 4 -j 2 -t 50 -C -S 2>/dev/null | grep processed
        end INT $server
        """,
        programs=found[-1],
    )


def test_nginx_serves_and_passes_on(pair: Pair) -> None:
    need("nginx", "ab", "curl")
    same(
        pair,
        """
        mkdir www n
        head -c 100000 /dev/zero | tr '\\0' x > www/file
        cat > conf << END
        worker_processes 2; daemon off; pid $WORK/n/pid; error_log $WORK/n/log crit;
        events { worker_connections 128; }
        http {
            access_log off; client_body_temp_path $WORK/n/a; proxy_temp_path $WORK/n/b;
            fastcgi_temp_path $WORK/n/c; uwsgi_temp_path $WORK/n/d; scgi_temp_path $WORK/n/e;
            server {
                listen $PORT; listen unix:$WORK/n/sock; root $WORK/www; sendfile on;
                location /up/ { proxy_pass http://unix:$WORK/n/sock:/; }
            }
        }
        END
        nginx -e "$WORK/n/log" -p "$WORK" -c "$WORK/conf" & server=$!
        until_ok curl -sf "http://127.0.0.1:$PORT/file"
        curl -s "http://127.0.0.1:$PORT/up/file" | sha256sum
        curl -s --unix-socket n/sock http://x/file | sha256sum
        curl -s -o out -w '%{http_code}\\n' "http://localhost:$PORT/none"
        ab -q -n 500 -c 20 "http://127.0.0.1:$PORT/file" | grep -E 'Failed|Complete|HTML'
        ab -q -n 500 -c 20 -k "http://127.0.0.1:$PORT/up/file" | grep -E 'Failed|Complete|HTML'
        kill -HUP $server
        until_ok curl -sf "http://127.0.0.1:$PORT/file"
        end QUIT $server
        cat n/log
        """,
    )


def test_a_session_bus_knows_its_clients(pair: Pair) -> None:
    need("dbus-daemon", "dbus-send", "dbus-monitor")
    same(
        pair,
        """
        cat > conf << END
        <busconfig><type>session</type><listen>unix:path=$WORK/bus</listen><auth>EXTERNAL</auth>
        <policy context="default"><allow send_destination="*" eavesdrop="true"/>
        <allow eavesdrop="true"/><allow own="*"/></policy></busconfig>
        END
        dbus-daemon --config-file="$WORK/conf" --nofork --nosyslog 2> log & bus=$!
        export DBUS_SESSION_BUS_ADDRESS="unix:path=$WORK/bus"
        bus_itself=org.freedesktop.DBus
        ask() {
            dbus-send --session --print-reply --dest=$bus_itself / "$bus_itself.$@" |
                grep -oE '(string|uint32|boolean).*'
        }
        until_ok ask ListNames
        ask ListNames
        [ "$(ask GetConnectionUnixUser string:$bus_itself)" = "uint32 $(id -u)" ] && echo same user
        [ "$(ask GetConnectionUnixProcessID string:$bus_itself)" = "uint32 $bus" ] && echo same pid
        dbus-monitor --session "interface='a.b.C'" > seen 2>&1 & monitor=$!
        until_ok grep -q NameAcquired seen
        dbus-send --session --type=signal / a.b.C.D string:hello
        until_ok grep -q hello seen
        end TERM $monitor
        grep -c hello seen
        end TERM $bus
        """,
    )
