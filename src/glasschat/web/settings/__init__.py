"""The settings of one visitor: presets, sampling, the system prompt.

panel = SettingsPanel(description, site.presets, owner)
panel.draw(on_clear=...)        in the sidebar
settings()                      what is set, in callbacks too; raises ParameterError
restore(saved.params, saved.system)   another conversation's, when it is opened
"""

from glasschat.web.settings.panel import SettingsPanel
from glasschat.web.settings.state import policy, restore, settings

__all__ = ["SettingsPanel", "policy", "restore", "settings"]
