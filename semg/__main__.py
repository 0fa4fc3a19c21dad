"""``python -m semg``: the command line of ``semg.command_line``."""

from importlib import import_module

if __name__ == "__main__":  # by its name: nothing that all rooms stand on imports a room
    import_module("semg.command_line.entry").main()
