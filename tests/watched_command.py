"""A command of videorep as a process that notes what it draws, and that sends itself a signal before one of its steps.

python watched_command.py DRAWS SIGNAL STEP ARGUMENT...
"""

import os
import sys
from pathlib import Path


def watch(draws, signal_number, step):
    import videorep.training.team as team
    from videorep.data.batches.windows import ShuffledOrder

    draw, any_worker, copy, calls, begun = ShuffledOrder.draw, team.Team.any, team.Team.copy_of_chief, [], []

    def begin(self, variables):
        begun.append(True)  # what was drawn before is what the mean of the data was taken of
        copy(self, variables)

    def noted(self, first, count=1):
        windows = draw(self, first, count)
        if not begun:
            return windows
        with open(draws, "a") as file:
            file.writelines(f"{first + number} {window}\n" for number, window in enumerate(windows))
        return windows

    def counted(self, condition):
        calls.append(condition)
        if len(calls) == step:
            os.kill(os.getpid(), signal_number)
        return any_worker(self, condition)

    ShuffledOrder.draw, team.Team.any, team.Team.copy_of_chief = noted, counted, begin


if __name__ == "__main__":
    from videorep.quiet import load_tensorflow, silence_tensorflow

    silence_tensorflow()
    load_tensorflow()
    Path(sys.argv[1]).touch()
    watch(sys.argv[1], int(sys.argv[2]), int(sys.argv[3]))
    sys.argv[1:] = sys.argv[4:]
    from videorep.cli.main import main

    main()
