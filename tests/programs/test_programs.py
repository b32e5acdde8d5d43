# SPDX-License-Identifier: GPL-3.0-or-later
"""Real programs work inside as outside: same output, same status, nothing logged."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from tests.conftest import need

if TYPE_CHECKING:
    from pathlib import Path

    from tests.support.guest import Pair

GIT_ENVIRONMENT = {
    "GIT_AUTHOR_NAME": "A",
    "GIT_AUTHOR_EMAIL": "a@example.org",
    "GIT_AUTHOR_DATE": "2001-02-03T04:05:06Z",
    "GIT_COMMITTER_NAME": "A",
    "GIT_COMMITTER_EMAIL": "a@example.org",
    "GIT_COMMITTER_DATE": "2001-02-03T04:05:06Z",
    "GIT_CONFIG_NOSYSTEM": "1",
    "GIT_PAGER": "cat",
    "HOME": "$WORK",
}


def small_tree(work: Path) -> None:
    """Fill *work* with a tree of directories, files, links of both kinds and odd names."""
    for directory in range(4):
        top = work / "tree" / f"d{directory}"
        top.mkdir(parents=True)
        for number in range(5):
            (top / f"f{number}.txt").write_text(f"line one\nneedle {directory}{number}\nend\n")
        (top / "link").symlink_to("f0.txt")
        os.link(top / "f1.txt", top / "hard")
    (work / "tree" / "odd name (1)").write_bytes(b"odd\n")
    (work / "tree" / "mode").write_bytes(b"x")
    (work / "tree" / "mode").chmod(0o751)
    (work / "tree" / "dangling").symlink_to("nowhere")
    _give_to_owner_of(work)


def tree_of_files(work: Path) -> None:
    """Fill *work* with the same tree, less its symbolic links."""
    small_tree(work)
    for path in (work / "tree").rglob("*"):
        if path.is_symlink():
            path.unlink()
    _give_to_owner_of(work)


def _give_to_owner_of(work: Path) -> None:
    """Hand everything below *work* to the user that owns it."""
    owner = work.stat()
    for path in work.rglob("*"):
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
        os.utime(path, (1_000_000_000, 1_000_000_000), follow_symlinks=False)


def test_git_keeps_a_repository(pair: Pair) -> None:
    need("git")
    pair.same(
        """
        git init -q -b main repo 2>&1
        cd repo
        mkdir sub
        for i in 1 2 3 4 5 6 7 8; do echo "file $i" > "sub/f$i"; done
        git add .
        git commit -m first 2>&1
        echo change >> sub/f1
        git status --short
        git diff
        git commit -aqm second
        git mv sub/f2 sub/moved
        git rm -q sub/f3
        git stash -q
        git log --stat --oneline
        git gc -q --prune=now
        git fsck 2>&1
        cd ..
        git clone -q repo copy 2>&1
        git clone -q --no-hardlinks --bare repo bare.git 2>&1
        cd copy
        git status
        git checkout -q -b topic
        echo topic > topic
        git add topic
        git commit -qm topic
        git push -q origin topic 2>&1
        git -C ../repo branch --list
        git rev-parse HEAD
        """,
        environment=GIT_ENVIRONMENT,
    )


def test_gcc_and_parallel_make_build_a_program(pair: Pair) -> None:
    need("gcc", "make")

    def prepare(work: Path) -> None:
        names = [f"part{number}" for number in range(6)]
        for name in names:
            (work / f"{name}.c").write_text(f'int {name}(void) {{ return sizeof "{name}"; }}\n')
        calls = " + ".join(f"{name}()" for name in names)
        declarations = "".join(f"int {name}(void);\n" for name in names)
        (work / "main.c").write_text(
            f"#include <stdio.h>\n{declarations}"
            f'int main(void) {{ printf("%d\\n", {calls}); return 7; }}\n'
        )
        objects = " ".join(f"{name}.o" for name in (*names, "main"))
        (work / "Makefile").write_text(
            f"program: {objects}\n\t@gcc -o $@ $^\n%.o: %.c\n\t@gcc -O1 -c -o $@ $<\n"
        )
        _give_to_owner_of(work)

    pair.same(
        """
        make -s -j2 program
        status=0; ./program || status=$?
        echo "status $status"
        touch part3.c
        make -j2 -n | sort
        gcc -c nothing.c || echo "gcc: $?"
        """,
        prepare=prepare,
    )


TAR = """
tar -cf a.tar --sort=name tree
sha256sum a.tar
mkdir out
tar -C out -xpf a.tar
tar -czf b.tgz tree
tar -tzf b.tgz | sort
diff -r --no-dereference tree out/tree
cd out
find tree -printf '%p %y %m %s %n %l %T@\\n' | sort
"""


def test_tar_packs_and_unpacks(pair: Pair) -> None:
    pair.same(TAR, prepare=tree_of_files)


def test_tar_unpacks_symbolic_links_when_they_may_be_opened(pair: Pair) -> None:
    """The C library asks about a link by O_PATH and O_NOFOLLOW: ELOOP without the switch."""
    pair.same(TAR, prepare=small_tree, rules=["trace/allow_unsafe_open_path:1"])


def test_cp_keeps_everything(pair: Pair) -> None:
    pair.same(
        """
        cp -a tree copy
        cp -al tree linked
        cp -r tree/d0 plain
        cd copy
        find . -printf '%p %y %m %s %n %l %T@\\n' | sort
        cd ../linked
        find . -type f -printf '%p %n\\n' | sort
        cd ..
        rm -r copy linked plain
        ls
        """,
        prepare=small_tree,
    )


def test_find_and_grep_walk_a_tree(pair: Pair) -> None:
    pair.same(
        """
        find tree -name '*.txt' -newermt 1990-01-01 -size -10 | sort
        find tree -type l -printf '%p -> %l\\n' | sort
        find tree -type f -perm -100
        find tree -type f -exec grep -l needle {} + | sort
        grep -rn 'needle 2' tree | sort
        grep -r absent tree || echo "grep: $?"
        find tree -mindepth 1 -delete
        ls -la tree | wc -l
        ls tree/gone 2>&1 || echo "ls: $?"
        """,
        prepare=small_tree,
    )


def test_bash_pipelines_and_redirections_work(pair: Pair) -> None:
    pair.same(
        """
        seq 1 1000 | awk '{s += $1} END {print s}'
        seq 5 | while read -r n; do echo "$((n * n))"; done | sort -rn | head -2 || true
        cat <<< "here string"
        diff <(seq 3) <(seq 4) || echo "diff: $?"
        set +o pipefail
        yes | head -3
        (exit 3) || echo "sub $?"
        exec 5> five; echo to five >&5; exec 5>&-; cat five
        trap 'echo trapped' USR1; kill -USR1 $$
        sleep 0.05 & wait $!; echo "waited $?"
        sh -c 'kill -TERM $$' || echo "term $?"
        (ulimit -c 0; sh -c 'kill -SEGV $$'; echo "segv $?") 2>/dev/null || true
        mkfifo pipe; (echo through > pipe) & cat pipe; wait
        umask 027; touch masked; stat -c %a masked
        set -C; echo a > masked2; (echo b > masked2) 2>/dev/null || echo noclobber
        cd /; pwd; cd "$OLDPWD"; ls | wc -l
        """
    )


def test_sqlite_keeps_a_database(pair: Pair) -> None:
    need("sqlite3")
    pair.same(
        """
        sqlite3 base.db 'create table t(a integer primary key, b text)'
        for i in 1 2 3 4 5; do sqlite3 base.db "insert into t(b) values('row $i')"; done
        sqlite3 base.db 'pragma journal_mode=wal; insert into t(b) select b from t; select * from t'
        sqlite3 base.db 'begin; delete from t; rollback; select count(*) from t; vacuum'
        sqlite3 base.db 'pragma integrity_check'
        sqlite3 base.db '.dump' | sqlite3 copy.db
        sqlite3 copy.db 'select count(*), max(a) from t'
        """
    )


def test_unittest_runs(pair: Pair) -> None:
    def prepare(work: Path) -> None:
        (work / "test_it.py").write_text(
            "import os, subprocess, sys, tempfile, threading, unittest\n"
            "class It(unittest.TestCase):\n"
            "    def test_files(self):\n"
            "        with tempfile.TemporaryDirectory(dir='.') as d:\n"
            "            open(d + '/x', 'w').close()\n"
            "            self.assertEqual(os.listdir(d), ['x'])\n"
            "    def test_child(self):\n"
            "        out = subprocess.check_output([sys.executable, '-c', 'print(6*7)'])\n"
            "        self.assertEqual(out, b'42\\n')\n"
            "    def test_thread(self):\n"
            "        seen = []\n"
            "        t = threading.Thread(target=seen.append, args=(1,)); t.start(); t.join()\n"
            "        self.assertEqual(seen, [1])\n"
            "    def test_fails(self):\n"
            "        self.assertTrue(os.path.exists('absent'))\n"
        )
        _give_to_owner_of(work)

    pair.same(
        "/usr/bin/python3 -m unittest -v test_it 2>&1 | sed 's/in [0-9.]*s/in TIME/'"
        ' || echo "status $?"',
        prepare=prepare,
    )


def test_venv_and_pip_install_a_local_wheel(pair: Pair) -> None:
    pair.same(
        """
        /usr/bin/python3 "$PROJECT/tests/guest/make_wheel.py"
        export PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
        /usr/bin/python3 -m venv env
        env/bin/python -m pip install -q --no-index ./madcap_demo-1.0-py3-none-any.whl 2>&1
        env/bin/python -m pip list --format=freeze 2>&1 | grep madcap
        env/bin/madcap-demo
        env/bin/python -c 'import sys; print(sys.prefix)'
        env/bin/python -m pip uninstall -qy madcap-demo 2>&1
        ls env
        """,
        environment={"HOME": "/nonexistent", "PIP_CONFIG_FILE": "/dev/null"},
        timeout=180,
    )


def test_a_loopback_server_answers_a_client(pair: Pair) -> None:
    pair.same_python("http_loopback.py")


def test_timeout_kills_a_reader_of_a_fifo(pair: Pair) -> None:
    """The open of a FIFO blocks in the supervisor; a signal must still reach the reader."""
    pair.same(
        """
        mkfifo fifo
        status=0; timeout 0.3 cat fifo || status=$?; echo "timeout $status"
        status=0; bash -c 'timeout -s KILL 0.3 cat fifo; exit $?' 2>&- || status=$?
        echo "killed $status"
        status=0; timeout -s INT 0.3 sh -c 'cat fifo; echo after' || status=$?; echo "int $status"
        cat fifo & echo data > fifo; wait; echo "reader done"
        """
    )


def test_job_control_works_under_a_terminal(pair: Pair) -> None:
    pair.same_python("job_control.py")
