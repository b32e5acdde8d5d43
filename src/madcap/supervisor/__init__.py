# SPDX-License-Identifier: GPL-3.0-or-later
"""The loop that receives notifications, its threads, the tracer."""
