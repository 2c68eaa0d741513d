"""A school as it was typed, and as it is registered."""

from contracts.api.schools import SchoolView
from contracts.names import name_key
from gateway.forms.fields import SubmittedForm


def registered_name(form: SubmittedForm, name: str, typed: str, known: tuple[SchoolView, ...]) -> str:
    """What was typed of a school as it is registered; ``FieldError`` when it is not."""
    found = next((each.name for each in known if name_key(each.name) == name_key(typed)), None)
    if found is None:
        raise form.wrong(name, "« {field} » : « {typed} » n'est pas dans la liste des écoles.", typed=typed)
    return found
