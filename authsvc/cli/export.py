"""`authsvc export`: the store as the document that `apply` reads."""

import sys

import typer

from authsvc.cli.application import app, configuration_path
from authsvc.cli.apply import DirectoryOption, writable_directory
from authsvc.cli.output import ConfigOption, JsonOption, guarded, print_json
from authsvc.config import read_settings
from authsvc.store.declaration import export_declaration
from authsvc.store.migrate import require_schema
from directory_assistance.sql_engine import open_engine
from directory_assistance.yaml_lines import DECLARATION_LIMITS, load_yaml

__all__ = ["export"]


@app.command()
@guarded
def export(
    context: typer.Context,
    config: ConfigOption = None,
    directory: DirectoryOption = None,
    as_json: JsonOption = False,
) -> None:
    """Print people, groups and databases as the document that `apply` reads; to apply it changes nothing."""
    sql, secondary = writable_directory(read_settings(configuration_path(context, config)), directory)
    engine = open_engine(sql.url)  # that of readers: to look makes no file and changes no table
    try:
        require_schema(engine)
        text = export_declaration(engine, secondary=secondary)
    finally:
        engine.dispose()
    if as_json:
        print_json(load_yaml(text, "export", limits=DECLARATION_LIMITS).data)
    else:
        sys.stdout.write(text)
