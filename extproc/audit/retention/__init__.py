"""How long the trail keeps what, what legal holds keep beyond that, and purges.

Every deletion is announced by a record of the journal that is on the disk before anything goes.
"""
