"""The capability `tasks`: work in the background. `__all__` is all that a team's code may rely on."""

from .definition import Sent, Task
from .errors import NoStoreError, TasksUnavailableError
from .part import Tasks
from .records import Status, TaskInfo
from .running import Running

__all__ = ["NoStoreError", "Running", "Sent", "Status", "Task", "TaskInfo", "Tasks", "TasksUnavailableError"]
