"""Where the rows of a statement are embedded: in this process, in others, on other machines.

``task`` is what an executor is given, ``protocol`` what it does with it, ``local`` does it on this
machine. Nothing here knows a database; what crosses to another process can be pickled.
"""
