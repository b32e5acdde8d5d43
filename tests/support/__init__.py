# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests share: the host they run on, and guests that run natively and inside madcap."""
