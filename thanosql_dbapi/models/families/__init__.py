"""The families of models that are known: one module each, all through ``protocol.Family``."""
