"""Refuse bad answers where no question was asked (`cookiecutter --replay`, Python code); see twelvefold_answers.py."""

import json
import sys

# In single quotes, because tojson escapes these and no others.
sys.path.insert(0, json.loads(r'<< template_dir | tojson >>'))  # fmt: skip

from twelvefold_answers import BadAnswersError, executed, problems

# Before and after they were rendered. Who renders no answer need not have the first.
found = executed(json.loads(r'<< _cookiecutter | default({}) | tojson >>'))  # fmt: skip
found = found or problems(json.loads(r'<< cookiecutter | tojson >>'))  # fmt: skip
if found:
    sys.exit(BadAnswersError(found).format_message())
