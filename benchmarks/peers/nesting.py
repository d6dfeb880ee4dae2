"""Derivatives by nesting the modes of a framework whose transforms are those of JAX."""


def keeping(transform, f):
    """The derivative of `f`, which gives (output, what to keep), keeping that output as well."""

    def with_output(x):
        y, kept = f(x)
        return y, (y, *kept)

    return transform(with_output, has_aux=True)


def second(outer, inner):
    """Value, gradient and Hessian of `f` by one nesting: what the derivatives pass on their way is kept."""

    def jet(f):
        def at(x):
            hessian, (gradient, value) = keeping(outer, keeping(inner, lambda x: (f(x), ())))(x)
            return value, gradient, hessian

        return at

    return jet
