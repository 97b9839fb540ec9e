"""Does anything get lost, or let in? Kills, damages and bad inputs without end, against the real commands.

    python -m torture [--minutes 20] [--seed N] [--kills 200] [--damages 300] [--inputs 2000]
    python -m torture --case CLASS:SEED            one case again, with all that it said

`watch` runs a command in a forked process and judges how it ended; `scene` is one case in a folder of its own;
`kills`, `damages` and `inputs` hold the classes of cases; `campaign` runs them two at a time; `report` counts.
"""
