"""typst, with our fonts and nothing of the machine's: tagged PDF/A-2a, the values passed as data, never as markup."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

HERE = Path(__file__).parent
TEMPLATES = HERE / "templates"


def render(template: str, values: dict[str, Any], *, created_at: datetime) -> bytes:
    """Compile a template; ``created_at`` is the date inside the PDF, so that the bytes depend on the values alone.

    A sign that no font of ours has (an emoji in a name) is shown as an empty box, in a PDF that is tagged but is not
    PDF/A: nobody goes without a receipt for it.
    """
    import typst  # noqa: PLC0415 - 80 MB, loaded only when a document is made

    try:
        return _compile(template, values, created_at, "a-2a")
    except typst.TypstError as error:
        if "could not be displayed" not in str(error):
            raise
        return _compile(template, values, created_at, None)


def _compile(template: str, values: dict[str, Any], created_at: datetime, standard: Literal["a-2a"] | None) -> bytes:
    import typst  # noqa: PLC0415 - likewise

    made = typst.compile(
        TEMPLATES / f"{template}.typ",
        root=TEMPLATES,
        font_paths=[HERE / "fonts"],
        ignore_system_fonts=True,
        format="pdf",
        sys_inputs={"data": json.dumps(values, ensure_ascii=False)},
        pdf_standards=standard,
        timestamp=int(created_at.timestamp()),
    )
    assert isinstance(made, bytes), "one PDF is one document"
    return made
