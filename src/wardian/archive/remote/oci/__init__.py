"""Cases in OCI registries, where container images are: one artifact of ModelPack with one layer, the case.

- `references`: what an `oci://` URL names
- `credentials`: who asks, as docker's configuration says
- `login`: what a registry wants to know before it answers
- `documents`: how a document that comes is read
- `modelpack`: the documents around the case
- `registry`: what a registry is asked
- `source`: ranges of a case in a registry
- `uploading`: a case to a registry
"""
