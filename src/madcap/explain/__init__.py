# SPDX-License-Identifier: GPL-3.0-or-later
"""What people ask about a policy: is this file right, and why is that refused."""
