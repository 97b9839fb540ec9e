"""Where does one begin? What `probe` alone says; `probe --help` lists every command."""

BEGIN = """\
probe: what did the reward change inside the model, and why this model?

  probe fetch rlcr_math500              published outputs before and after RL
  probe compare-rollouts rlcr_math500   what RL did to them; no weights needed
  probe compare BEFORE AFTER            the same of two checkpoints
  probe report BEFORE AFTER             all that is found on them, on one page
  probe ls                              checkpoints, rewards, studies there are
  probe --help                          every command"""
