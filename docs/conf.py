"""Sphinx: `make docs` builds the pages that docs.making wrote. A warning is an error."""

project = "probe"
copyright = "the authors of probe"
extensions = ["myst_parser"]
myst_enable_extensions = ["attrs_inline"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "probe"
html_static_path = ["look"]
html_css_files = ["site.css"]
html_copy_source = html_show_sourcelink = html_show_sphinx = False
add_module_names = False
python_use_unqualified_type_names = True
maximum_signature_line_length = 100
toc_object_entries = False
pygments_style, pygments_dark_style = "friendly", "monokai"


def setup(app):
    """A name in a signature leads to what it names exactly, or nowhere: never to something else of the same name."""
    from sphinx.addnodes import pending_xref

    def exactly(app, doctree):
        for node in doctree.findall(pending_xref):
            if node.get("refdomain") == "py":
                node.attributes.pop("refspecific", None)

    app.connect("doctree-read", exactly)
