"""Work shared out to the workers of a cluster of Ray, which is imported here when asked for.

What is worked on stands in the other rooms; `training` has the stages that need more of Ray.
"""
