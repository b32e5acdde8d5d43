# SPDX-License-Identifier: GPL-3.0-or-later
"""One policy: categories, defaults, rules and limits, and the questions the kernel side asks.

Questions come from several threads at once, changes from one of them. What a question reads is
replaced rather than emptied, and an answer is remembered in the memo that was there before the
question was looked at, so a change can never be undone by an answer that was under way.
"""

from __future__ import annotations

from madcap.policy import actions, categories
from madcap.policy.rules import Index, Mask, Rule

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from madcap.policy.address import NetRule
    from madcap.policy.blocklist import Blocklist
    from madcap.policy.domains import Move
    from madcap.policy.fsmagic import FsRule
    from madcap.policy.ioctls import Ioctls

    # The action, the enabled part of what was wanted, and the rule that decided (None: a default).
    Verdict = tuple[int, int, Rule | NetRule | FsRule | None]

ALLOWED: Verdict = (actions.ALLOW, 0, None)

#: Answers remembered in each memo, and the longest name that one is remembered for, in bytes: the
#: names are the guest's, and what they take of our memory must have an end that is not far.
MEMO_MAX, MEMO_NAME_MAX = 4096, 255
LIST_MAX = 4096

_stamp = 0


class Domain:
    """A named policy. The attributes are to be read by all; only commands change them."""

    __slots__ = (
        "_directory_memo",
        "_fs_memo",
        "_index",
        "_ioctls",
        "_mask_index",
        "_mask_memo",
        "_memo",
        "_net_memo",
        "blocklist",
        "default_block",
        "default_segvguard",
        "defaults",
        "enabled",
        "flags",
        "force",
        "force_umask",
        "fs_rules",
        "masks",
        "mem_max",
        "mem_vm_max",
        "moves",
        "name",
        "net_rules",
        "pid_max",
        "rules",
        "segvguard_expiry",
        "segvguard_maxcrashes",
        "segvguard_suspension",
        "tpe_gid",
        "uts_domain",
        "uts_host",
        "uts_version",
        "version",
    )

    def __init__(self, name: str) -> None:
        self.name = name
        self.enabled = categories.INITIAL
        self.flags: set[str] = set()
        self.force_umask: int | None = 0o7000
        self.defaults = [actions.DENY] * len(categories.NAMES)
        self.defaults[0] = self.defaults[39] = actions.KILL  # lock, pid
        self.default_block = actions.DENY
        self.default_segvguard = actions.DENY
        self.rules: list[Rule] = []  # Oldest first, as all lists here.
        self.net_rules: list[NetRule] = []
        self.fs_rules: list[FsRule] = []
        self.masks: list[Mask] = []
        self.blocklist: Blocklist | None = None
        self._ioctls: Ioctls | None = None
        self.force: dict[bytes, tuple[str, bytes, int]] = {}
        self.moves: list[Move] = []
        self.mem_max = 0
        self.mem_vm_max = 0
        self.pid_max = 0
        self.segvguard_expiry = 120
        self.segvguard_suspension = 600
        self.segvguard_maxcrashes = 5
        self.tpe_gid: int | None = None
        self.uts_host: str | None = "localhost"
        self.uts_domain: str | None = "(none)"
        self.uts_version: str | None = None
        self.version = 0
        self._index = Index(())
        self._mask_index = Index(())
        self.touch()

    def touch(self) -> None:
        """Forget all answers: what they rest on has changed. No two changes share a version."""
        global _stamp
        _stamp += 1
        self._memo: dict[tuple[int, bytes], Verdict] = {}
        self._directory_memo: dict[tuple[int, bytes], Verdict] = {}  # Where all is answered alike.
        self._net_memo: dict[tuple[int, str | None, bytes, int], Verdict] = {}
        self._fs_memo: dict[int, Verdict] = {}
        self._mask_memo: dict[bytes, tuple[bytes, bytes] | None] = {}
        self.version = _stamp

    @property
    def ioctls(self) -> Ioctls:
        """The ioctl requests allowed or denied by number."""
        if self._ioctls is None:
            from madcap.policy.ioctls import Ioctls

            self._ioctls = Ioctls(initial=self.name == "default")
        return self._ioctls

    def add_rule(self, rule: Rule) -> None:
        """Take in *rule* as the newest."""
        self.rules.append(rule)
        self._index.add(rule)
        self.touch()

    def replace_rules(self, rules: list[Rule]) -> None:
        """Let *rules* take the place of the present ones."""
        self.rules = rules
        self._index = Index(rules)
        self.touch()

    def add_mask(self, mask: Mask) -> None:
        """Take in *mask* as the newest."""
        self.masks.append(mask)
        self._mask_index.add(mask)
        self.touch()

    def replace_masks(self, masks: list[Mask]) -> None:
        """Let *masks* take the place of the present ones."""
        self.masks = masks
        self._mask_index = Index(masks)
        self.touch()

    def check(self, wanted: int, text: bytes) -> Verdict:
        """Return the verdict on using the name *text* for the categories in the mask *wanted*.

        Each category is decided by its newest matching rule or else its default, and the strictest
        of these answers holds. Categories that are off ask nothing.
        """
        verdict = self._memo.get((wanted, text))
        if verdict is None:
            return self._decide(wanted, text)
        return verdict

    def allows_all_in(self, wanted: int, directory: bytes) -> bool:
        """Tell whether it is known that *wanted* is allowed for every name in *directory*."""
        if not wanted & self.enabled:
            return True
        verdict = self._directory_memo.get((wanted, directory))
        return (
            verdict is not None
            and verdict[0] == actions.ALLOW
            and not self._index.names_in(directory)
        )

    def _decide(self, wanted: int, text: bytes) -> Verdict:
        memo = self._memo
        directories = self._directory_memo
        slash = text.rfind(b"/")
        if slash >= 0:
            known = directories.get((wanted, text[:slash]))
            if known is not None and not self._index.names(text):
                return known
        asked = left = wanted & self.enabled
        if not asked:
            return ALLOWED
        action = -1
        decisive: Rule | None = None
        found, alike = self._index.find(left, text)
        for rule in found:
            left &= ~rule.mask
            if rule.action > action:
                action = rule.action
                decisive = rule
        bit = 0
        while left:
            if left & 1 and self.defaults[bit] > action:
                action = self.defaults[bit]
                decisive = None
            left >>= 1
            bit += 1
        verdict = (action, asked, decisive)
        if len(text) <= MEMO_NAME_MAX:
            if alike and slash >= 0:
                _remember(directories, (wanted, text[:slash]), verdict)
            else:
                _remember(memo, (wanted, text), verdict)
        return verdict

    def mask_of(self, path: bytes) -> tuple[bytes, bytes] | None:
        """Return what is shown for *path*, as a file and as a directory, when it is masked."""
        if not self.masks:
            return None
        memo = self._mask_memo
        try:
            return memo[path]
        except KeyError:
            pass
        found, _ = self._mask_index.find(-1, path)
        shown = None
        for mask in found:
            if isinstance(mask, Mask):
                file = mask.target or b"/dev/null"
                shown = (file, mask.directory or file)
        if len(path) <= MEMO_NAME_MAX:
            _remember(memo, path, shown)
        return shown

    def check_fs(self, magic: int) -> Verdict:
        """Return the verdict on opening a file of the file system type *magic*."""
        verdict = self._fs_memo.get(magic)
        if verdict is None:
            if not self.enabled & categories.FS:
                return ALLOWED
            memo = self._fs_memo
            verdict = (self.defaults[33], categories.FS, None)
            for rule in reversed(self.fs_rules):
                if rule.magic == magic:
                    verdict = (rule.action, categories.FS, rule)
                    break
            memo[magic] = verdict
        return verdict

    def check_ioctl(self, request: int) -> int:
        """Return the action for an ioctl(2) with the number *request*."""
        allowed = self.ioctls.answer(request & 0xFFFF_FFFF)
        if allowed is not None:
            return actions.ALLOW if allowed else actions.DENY
        return self.defaults[7] if self.enabled & categories.IOCTL else actions.ALLOW

    def check_net(self, wanted: int, protocol: str | None, address: bytes, port: int) -> Verdict:
        """Return the verdict of the rules on *wanted*, net/bind or net/connect, at an address.

        *protocol* is a name that rules know (tcp mptcp udp udplite sctp dccp icmp4 icmp6) or None;
        *address* has 4 or 16 bytes, and is of 4 when it is an IPv4 address in IPv6 clothes.
        """
        key = (wanted, protocol, address, port)
        verdict = self._net_memo.get(key)
        if verdict is None:
            asked = wanted & self.enabled
            if not asked:
                return ALLOWED
            memo = self._net_memo
            decisive: NetRule | None = None
            number = int.from_bytes(address, "big")
            action = self.defaults[wanted.bit_length() - 1]
            for rule in reversed(self.net_rules):
                if rule.mask & asked and rule.matches(protocol, len(address), number, port):
                    decisive = rule
                    action = rule.action
                    break
            verdict = (action, asked, decisive)
            _remember(memo, key, verdict)
        return verdict

    def blocked(self, address: bytes) -> bool:
        """Tell whether the blocklist holds *address*, of 4 or 16 bytes."""
        return self.blocklist is not None and self.blocklist.holds(address)

    def copy(self, name: str) -> Domain:
        """Return a policy called *name* that starts as this one and goes its own way."""
        other = Domain(name)
        for slot in self.__slots__:
            if slot != "name" and not slot.startswith("_"):
                setattr(other, slot, getattr(self, slot))
        other.flags = set(self.flags)
        other.defaults = list(self.defaults)
        other.replace_rules([rule.copy() for rule in self.rules])
        other.net_rules = [rule.copy() for rule in self.net_rules]
        other.fs_rules = list(self.fs_rules)
        other.replace_masks(list(self.masks))
        other.force = dict(self.force)
        other.moves = list(self.moves)
        if self.blocklist is not None:
            other.blocklist = self.blocklist.copy()
        other._ioctls = self.ioctls.copy()
        other.touch()
        return other


def _remember(memo: dict[Any, Any], key: object, answer: object) -> None:
    """Put *answer* into *memo*, which starts over where it is full."""
    if len(memo) >= MEMO_MAX:
        memo.clear()
    memo[key] = answer
