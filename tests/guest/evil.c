/* SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A program that no rule allows to run; 66 says that it ran. */
int main(void)
{
	return 66;
}
