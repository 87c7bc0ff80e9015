"""The local Lambda: a Lambda on this machine, for a laptop and for Lamella's own tests.

    config = FunctionConfig(Path("."), wrapper=Path("layer/bootstrap"))
    async with Environment(config) as environment:
        result = await environment.invoke({"hello": "world"})

Never part of the layer. Each name is imported from its own module (`local.config`,
`local.execution.environment`), so that `local.machine.layer` needs no package.
docs/design.md, section 6, has a table of the folders.
"""
