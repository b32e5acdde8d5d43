# SPDX-License-Identifier: GPL-3.0-or-later
"""What Linux promises: numbers, flags, structures."""
