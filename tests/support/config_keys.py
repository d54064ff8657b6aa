"""Every key that the files of authsvc know, gathered from the models that read them."""

from functools import cache
from inspect import getmembers, isclass
from types import ModuleType

from pydantic import BaseModel

from authsvc import config_models as service_models
from authsvc.store import declared
from directory_assistance import config_models as directory_models

__all__ = ["known_keys"]


@cache
def known_keys() -> frozenset[str]:
    """Return the keys of `authsvc.yaml`, of `directory-assistance.yaml`, and of the document of `apply`."""
    return _keys_of(service_models) | _keys_of(directory_models) | _keys_of(declared)


def _keys_of(module: ModuleType) -> frozenset[str]:
    models = [each for _name, each in getmembers(module, isclass) if issubclass(each, BaseModel)]
    return frozenset(name for model in models for name in model.model_fields)
