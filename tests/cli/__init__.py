# SPDX-License-Identifier: GPL-3.0-or-later
"""The command line, from the launcher to the first moment of the sandbox."""
