"""The report: one page for people who want to see what is published, and what was checked of it.

`facts` reads what the page needs beside an audit, `results` reads the document of ``verify --json``, `coverage` and
`charts` shape what is drawn, and `page` renders the template. What the page shows was written by others, manifests and
findings: the template engine escapes everything, and the page has no script and loads nothing.

Begin at `page.render_page`.
"""

__all__ = ()
