"""What all tests share: how Hypothesis searches.

A shared machine may stall for any time, so no example has a deadline; the same examples every run, so that a
red run says something about the change.
"""

from hypothesis import settings

settings.register_profile("here", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("here")
