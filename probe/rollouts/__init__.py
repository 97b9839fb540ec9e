"""One way to ask: checkpoint x elicitation x sampling -> responses -> grades, whichever sampler draws the tokens.

elicitation   problems x template (+ prefix) -> prompts            what is asked
options       temperature, samples, seed, new tokens, memory       how it is sampled
samplers      organisms, transformers, vLLM, or edited by hooks    who draws
respond       all of it -> token ids and texts
grades        text -> answer, outcome, strategy
"""
