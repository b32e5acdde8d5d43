# SPDX-License-Identifier: GPL-3.0-or-later
"""The calls that madcap performs for the guest."""
