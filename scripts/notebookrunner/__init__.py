# SPDX-License-Identifier: Apache-2.0
"""Runs the notebooks of this checkout in its own kernel, headless, and judges what they put on the screen.

execute.py runs one, judge.py says what is wrong with its outputs, committed.py holds the form in which notebooks are
committed, printed.py takes the cells out of a page, browser.py drives JupyterLab as a user would, session.py a kernel,
selftest.py shows that the judge sees what it must see.
"""
