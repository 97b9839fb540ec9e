"""How is what was found told on one page? A self-contained HTML file, its numbers also as JSON; no network, no server.

pair_page   jobs of a pair -> data -> Page        pack    numbers and texts in few bytes
data        rows and responses as plain values    embed   data into the template: escaped, under a strict policy
tokens      both models' scores, token by token   report.html, .css, .js: the template; it shows data as text only
"""
