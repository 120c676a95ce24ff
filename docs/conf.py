"""How Sphinx makes the site; `make docs` calls it. docs/design/dependencies.md says why Sphinx.

Nothing that a reader's browser fetches comes from elsewhere: the theme brings its styles and scripts, and
text is set in fonts that the system has. tests/docs/test_site.py holds the site to it.
"""

import wardian

project = "Wardian"
author = "The Wardian authors"
release = version = wardian.__version__
project_copyright = author

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
exclude_patterns = ["pictures/*.md"]
source_suffix = {".md": "markdown"}

# Links between pages are those of the files, so that they work in the repository, too.
myst_heading_anchors = 4
myst_enable_extensions = ["colon_fence"]

# A word in backticks in a docstring is a link where it names something public, and code everywhere.
default_role = "py:obj"
autodoc_member_order = "bysource"
autodoc_typehints = "signature"
autodoc_typehints_format = "short"
python_maximum_signature_line_length = 60
# The integrations are described without the libraries that they are for.
autodoc_mock_imports = ["lightning", "mlflow", "pandas", "ray", "yaml"]
napoleon_numpy_docstring = False
napoleon_use_ivar = True  # attributes in a list, not a heading for each
napoleon_use_rtype = False

html_theme = "furo"
html_title = f"Wardian {release}"
html_static_path = ["_static"]
html_css_files = ["wardian.css"]
pygments_dark_style = "github-dark"  # the usual one underlines the names of modules
html_copy_source = False
html_show_sphinx = False
html_theme_options = {"navigation_with_keys": True}
