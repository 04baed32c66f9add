"""Distributes work to the workers of a Ray cluster; Ray is imported only on demand.

The work itself is defined in other packages; `training` has the stages that need more of Ray.
"""
