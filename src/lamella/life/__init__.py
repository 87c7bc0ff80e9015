"""The life of an invocation around its cycle: its deadline, what it leaves behind, the freeze."""
