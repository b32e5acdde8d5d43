# SPDX-License-Identifier: GPL-3.0-or-later
"""How the guest is started and locked in."""
