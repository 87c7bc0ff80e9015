import not_installed  # noqa: F401  the fault that is tested
