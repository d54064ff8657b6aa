"""`authsvc openapi`: the OpenAPI document, made from the application itself."""

import sys

import yaml

from authsvc.cli.application import app
from authsvc.cli.output import JsonOption, guarded, print_json
from authsvc.web.app import create_app

__all__ = ["openapi"]


@app.command()
@guarded
def openapi(as_json: JsonOption = False) -> None:
    """Print the OpenAPI document (YAML). It needs no configuration."""
    document = create_app().openapi()
    if as_json:
        print_json(document)
    else:
        yaml.safe_dump(document, sys.stdout, sort_keys=True, allow_unicode=True, width=120)
