"""Rows embedded on the machines of a Ray cluster.

``cluster`` is this program's connection to it, ``worker`` what runs there, ``pool`` the workers of
one statement, and ``executor`` gives them rows and takes their batches. Only ``cluster`` and
``pool`` know Ray; a worker is ``executors.local`` on another machine.
"""
