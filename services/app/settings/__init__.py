"""Settings: defaults, then one YAML file, then LATENTSPACE_* variables, then options.

`LATENTSPACE_LISTEN=127.0.0.1:50052`, `LATENTSPACE_LIMITS__MAX_ITEMS=1024`: two underscores lead
into a group. A list or a mapping in a variable is JSON.
"""

from services.app.settings.errors import SettingsError
from services.app.settings.layers import Origin
from services.app.settings.loading import EffectiveSetting, effective_settings, load_settings
from services.app.settings.schema import (
    DEFAULT_LISTEN,
    CacheSettings,
    HealthSettings,
    IndexSettings,
    Limits,
    LogSettings,
    ModelSettings,
    Settings,
    TracingSettings,
)

__all__ = [
    "DEFAULT_LISTEN",
    "CacheSettings",
    "EffectiveSetting",
    "HealthSettings",
    "IndexSettings",
    "Limits",
    "LogSettings",
    "ModelSettings",
    "Origin",
    "Settings",
    "SettingsError",
    "TracingSettings",
    "effective_settings",
    "load_settings",
]
