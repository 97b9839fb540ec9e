"""Which of several rival explanations accounts for an accuracy change, alone and together with the others?

    arms         what one model answers under one condition, as shares per problem
    channels     a step's change by strategy mix, parse rate and accuracy within strategies
    sharpening   the base at the temperature at which it is as sure as the model after RL
    best_prompt  both models under the prompt that is the base's best
    atoms        pieces of the change, and which explanations can claim each
    account      evidence in, every piece on the same resamples of problems out
    verdict      which explanation is supported, which is excluded, and what would decide the rest

Pure: shares and counts in, amounts in units of accuracy out. Nothing here knows a model or a table.
"""
