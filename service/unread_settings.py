"""Settings that nothing reads, because another one is not set."""

from collections.abc import Iterator

from service.setting_names import flag_name
from service.settings import Settings

TEACHER, UPSTREAM, LOG = "teacher_url", "upstream_url", "log"
# Settings of parts whose own setting does not begin the name. What promises safety is refused
# instead, see `service.setting_checks.refuse_promises`.
NEEDED_BY = {
    "shadow_share": (TEACHER,),
    "auto_threshold": (TEACHER, UPSTREAM),
    "log_records": (LOG,),
    "log_bytes": (LOG,),
    "rate_burst": ("rate_limit",),
    "redis_timeout_ms": ("redis_url",),
}


def unread(settings: Settings) -> Iterator[str]:
    """Yields a warning for each changed setting that has no effect.

    They are not refused: a container's environment may name the teacher's model, and leave its URL
    to whoever starts it.
    """
    for name, field in Settings.model_fields.items():
        needed = switches_of(name)
        if not needed or any(getattr(settings, other) for other in needed):
            continue
        if getattr(settings, name) != field.default:
            yield f"{flag_name(name)} has no effect without {' or '.join(map(flag_name, needed))}"


def switches_of(name: str) -> tuple[str, ...]:
    """Names the settings of which one must be set for this one to be read; () if none must."""
    for switch in (TEACHER, UPSTREAM):
        if name.startswith(switch.removesuffix("url")) and name not in (switch, "upstream_route"):
            return (switch,)
    return NEEDED_BY.get(name, ())
