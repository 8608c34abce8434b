"""Lists and dicts of layers by PyTorch's names. A plain list or dict as an attribute does as well."""


class ModuleList(list):
    """Layers in a list: `self.layers = ModuleList([...])` has the parameters `layers.0.weight` and so on."""


class ModuleDict(dict):
    """Layers by name: `self.heads = ModuleDict({"a": ...})` has the parameters `heads.a.weight` and so on."""


class ParameterList(list):
    """Parameters in a list: `self.scales = ParameterList([...])` has the parameters `scales.0` and so on."""
