"""What does the code say of itself, and where is it shown? The pages of the site that nobody types.

    python -m docs.making OUT        everything that Sphinx reads, in the folder OUT

texts      docstrings and hand-written pages as the Markdown of the site
names      every public name of the package, its signature and docstring, without importing it
api        a page a package: all of them
commands   a page a command: usage, options, figures
gallery    a page a committed figure: question, caption, who makes it, table
findings   how predictions fared; which module holds what a paper says
notebooks  as committed, outputs too
site       the hand-written pages beside these, and the table of contents
"""
