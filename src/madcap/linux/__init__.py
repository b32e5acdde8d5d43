# SPDX-License-Identifier: GPL-3.0-or-later
"""What we ask of the host kernel, one module an interface."""
