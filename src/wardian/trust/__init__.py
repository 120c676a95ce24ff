"""Trust in a case: who signed its seal, whose keys count, and what may run.

In go an open archive and the files beside it; out comes a judgement, or the error that refuses it.

- `sshsig`, `wire`, `keys`: signatures as OpenSSH writes them; `oms`: bundles of OpenSSF model signing
- `signing`: makes signatures; `beside`: the files that hold them, next to a case or its URL
- `allowed_signers`: whose keys count; `checks`, `signatures`: what a check of signatures found
- `policies`: the files of policies, yours and those that a program names; `ownership`: who may write them
- `rules`: what a policy says, and what of a case breaks it
- `gate`: asked before packed code runs; `judging`: one archive against every policy; `modes`: WARDIAN_TRUST
"""
