"""Refuse bad answers where no question was asked (`cookiecutter --replay`); see twelvefold_answers.py."""

import json
import sys

sys.path.insert(0, json.loads(r'<< template_dir | tojson >>'))

from twelvefold_answers import BadAnswersError, problems

found = problems(json.loads(r'<< cookiecutter | tojson >>'))
if found:
    sys.exit(BadAnswersError(found).format_message())
