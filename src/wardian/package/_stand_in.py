# A module of this name was mocked when the package was exported: every name it has stands for
# something that is not there.


class MockedObject:
    def __init__(self, name):
        object.__setattr__(self, "_mocked_name", name)

    def __repr__(self):
        return f"MockedObject({self._mocked_name})"

    def __mro_entries__(self, bases):
        return (object,)

    def __getattr__(self, attribute):
        if attribute.startswith("__") and attribute.endswith("__"):
            raise AttributeError(attribute)
        return self._refuse(f".{attribute}")

    def _refuse(self, how):
        raise NotImplementedError(
            f"{self._mocked_name} was mocked out during packaging and cannot be used ({how}); "
            "export again with intern or extern for its module"
        )


def _refusal(method):
    def refuse(self, *args, **kwargs):
        self._refuse(method)

    return refuse


for _method in (
    "abs add and bool bytes call complex contains delattr delitem divmod enter exit float floordiv format ge "
    "getitem gt iadd iand ifloordiv ilshift imatmul imod imul index int invert ior ipow irshift isub iter "
    "itruediv ixor le len lshift lt matmul mod mul neg next or pos pow radd rand rdivmod reversed rfloordiv "
    "rlshift rmatmul rmod rmul ror round rpow rrshift rshift rsub rtruediv rxor setattr setitem sub truediv "
    "trunc xor instancecheck subclasscheck await aiter anext aenter aexit reduce reduce_ex getstate "
    "eq ne hash dir copy deepcopy"
).split():
    setattr(MockedObject, f"__{_method}__", _refusal(f"__{_method}__"))
del _method


_own_name = __name__.split(".", 3)[-1] if __name__.startswith("wardian.live.") else __name__


def __getattr__(name):
    if name.startswith("__") and name.endswith("__"):
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return MockedObject(f"{_own_name}.{name}")
