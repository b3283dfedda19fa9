"""Things to try Holdpoint with: a demo that runs everything, an AutoGen agent, plain clients."""
